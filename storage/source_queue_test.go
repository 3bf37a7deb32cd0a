package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// askedSource counts what a sourceQueue asks. It answers after a time, which is that of the test's bubble.
type askedSource struct {
	takes time.Duration

	mutex   sync.Mutex
	asked   []string // name:password in the order of the questions
	names   map[string]int
	now     int
	highest int
	overlap bool // two questions about one name
}

func (s *askedSource) ask(ctx context.Context, name, password string, _ func()) sourceResult {
	s.mutex.Lock()
	s.asked = append(s.asked, name+":"+password)
	if s.names == nil {
		s.names = map[string]int{}
	}
	s.names[name]++
	s.overlap = s.overlap || s.names[name] > 1
	s.now++
	s.highest = max(s.highest, s.now)
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.names[name]--
		s.now--
	}()
	select {
	case <-time.After(s.takes):
		return sourceResult{found: password == "right"}
	case <-ctx.Done():
		return sourceResult{err: unavailable.Error("test", ctx.Err())}
	}
}

// asking is a login in the background.
type asking struct{ result atomic.Pointer[sourceResult] }

func ask(ctx context.Context, q *sourceQueue, name, password string) *asking {
	a := &asking{}
	go func() {
		result := q.do(ctx, name, password)
		a.result.Store(&result)
	}()
	synctest.Wait() // the order of the logins is that of the calls
	return a
}

// got returns the result, or an error while there is none.
func (a *asking) got() sourceResult {
	synctest.Wait()
	if r := a.result.Load(); r != nil {
		return *r
	}
	return sourceResult{err: errors.New("still waiting")}
}

// held counts what the queue holds: logins, those that wait, and names that are under way.
func (q *sourceQueue) held() [3]int {
	synctest.Wait()
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return [3]int{len(q.logins), len(q.waiting), len(q.underWay)}
}

func (s *askedSource) questions() []string {
	synctest.Wait()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.asked)
}

func TestEqualLoginsAreOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: 2 * time.Second}
		q := newSourceQueue(s.ask)
		var all []*asking
		for range 40 {
			all = append(all, ask(t.Context(), q, "olga", "right"))
		}
		time.Sleep(2 * time.Second)
		for _, a := range all {
			if r := a.got(); r.err != nil || !r.found {
				t.Errorf("found %t, %v", r.found, r.err)
			}
		}
		if !slices.Equal(s.questions(), []string{"olga:right"}) {
			t.Errorf("asked %q", s.questions())
		}
		// Only logins that are under way are shared.
		if again := ask(t.Context(), q, "olga", "right"); len(s.questions()) != 2 {
			t.Errorf("asked %q, %+v", s.asked, again.got())
		}
		time.Sleep(2 * time.Second)
	})
}

func TestLoginsOfOneNameAreAskedAboutOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: time.Second}
		q := newSourceQueue(s.ask)
		var wrong []*asking
		for i := range 4 {
			wrong = append(wrong, ask(t.Context(), q, "olga", fmt.Sprint("guess ", i)))
		}
		right := ask(t.Context(), q, "olga", "right")
		other := ask(t.Context(), q, "a", "right")
		time.Sleep(time.Second)
		synctest.Wait()
		if !other.got().found {
			t.Error("another name waits for that one")
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if !right.got().found || s.overlap {
			t.Errorf("right %+v, two questions about one name: %t", right.got(), s.overlap)
		}
		for _, a := range wrong {
			if r := a.got(); r.found || r.err != nil {
				t.Errorf("wrong password: %+v", r)
			}
		}
		if want := []string{"olga:guess 0", "a:right", "olga:guess 1", "olga:guess 2", "olga:guess 3", "olga:right"}; !slices.Equal(s.questions(), want) {
			t.Errorf("asked %q", s.questions())
		}
	})
}

func TestTheSourceIsAskedABoundedNumberOfQuestionsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: 2 * time.Second}
		q := newSourceQueue(s.ask)
		var all []*asking
		var order []string
		for i := range 200 {
			name := fmt.Sprint("user ", i)
			order = append(order, name+":right")
			all = append(all, ask(t.Context(), q, name, "right"))
		}
		time.Sleep(8 * time.Second) // four rounds
		for i, a := range all {
			if r := a.got(); r.err != nil || !r.found {
				t.Errorf("user %d: found %t, %v", i, r.found, r.err)
			}
		}
		if s.highest != maxQuestions {
			t.Errorf("%d questions at once", s.highest)
		}
		if len(s.questions()) != len(order) {
			t.Fatalf("asked %d", len(s.questions()))
		}
		asked := s.questions()
		for from := 0; from < 200; from += maxQuestions { // those of one round are asked at once
			to := min(from+maxQuestions, 200)
			if !sameSets(asked[from:to], order[from:to]) {
				t.Errorf("round %d: asked %q", from/maxQuestions, asked[from:to])
			}
		}
	})
}

func sameSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// The hash of a new user takes no place from the questions, and no second question is asked about that user meanwhile.
func TestAUserWhoIsBeingStoredTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: time.Second}
		q := newSourceQueue(func(ctx context.Context, name, password string, answered func()) sourceResult {
			result := s.ask(ctx, name, password, nil)
			answered()
			time.Sleep(8 * time.Second)
			return result
		})
		for i := range maxQuestions {
			ask(t.Context(), q, fmt.Sprint("user ", i), "right")
		}
		same, other := ask(t.Context(), q, "user 0", "wrong"), ask(t.Context(), q, "other", "right")
		time.Sleep(1500 * time.Millisecond)
		if asked := s.questions(); len(asked) != maxQuestions+1 || asked[maxQuestions] != "other:right" {
			t.Errorf("asked %d: %q", len(asked), asked[maxQuestions:])
		}
		time.Sleep(9 * time.Second)
		if r := other.got(); !r.found {
			t.Errorf("%+v", r)
		}
		time.Sleep(9 * time.Second)
		if r := same.got(); r.found || r.err != nil || s.overlap || q.held() != [3]int{} || q.questions != 0 {
			t.Errorf("%+v; two questions about one name: %t; left %v", r, s.overlap, q.held())
		}
	})
}
