package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"

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

func (s *askedSource) ask(ctx context.Context, name, password string) sourceResult {
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

// held counts what the queue holds: logins, those that wait, and names that are asked about.
func (q *sourceQueue) held() [3]int {
	synctest.Wait()
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return [3]int{len(q.logins), len(q.waiting), len(q.asked)}
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
		s := &askedSource{takes: 700 * time.Millisecond}
		q := newSourceQueue(s.ask)
		var all []*asking
		var order []string
		for i := range 200 {
			name := fmt.Sprint("user ", i)
			order = append(order, name+":right")
			all = append(all, ask(t.Context(), q, name, "right"))
		}
		time.Sleep(9100 * time.Millisecond) // 13 rounds of 16
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

func wantUnavailable(t *testing.T, what string, a *asking, cause error) {
	t.Helper()
	r := a.got()
	if !errors.Is(r.err, fosite.ErrTemporarilyUnavailable) || !errors.Is(r.err, cause) || r.found {
		t.Errorf("%s: %+v, want %v", what, r.err, cause)
	}
}

func TestALoginWithoutATurnInTimeIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: 14 * time.Second}
		q := newSourceQueue(s.ask)
		for i := range maxQuestions {
			ask(t.Context(), q, fmt.Sprint("user ", i), "right")
		}
		late := ask(t.Context(), q, "late", "right")
		time.Sleep(queueTime - time.Millisecond)
		synctest.Wait()
		if unavailable.Is(late.got().err) {
			t.Error("refused before its time")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantUnavailable(t, "late", late, errSourceBusy)
		inTime := ask(t.Context(), q, "in time", "right")
		time.Sleep(time.Minute)
		synctest.Wait()
		if !inTime.got().found || len(s.questions()) != maxQuestions+1 {
			t.Errorf("the next: %+v; asked %d", inTime.got(), len(s.questions()))
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedSource{takes: time.Second}
		q := newSourceQueue(s.ask)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range maxQuestions + maxWaiting {
			go q.do(ctx, fmt.Sprint("user ", i), "right")
		}
		synctest.Wait()
		wantUnavailable(t, "one more", ask(ctx, q, "one more", "right"), errSourceFull)
		q.mutex.Lock()
		equal := q.waiting[0]
		q.mutex.Unlock()
		shared := ask(t.Context(), q, equal.name, "right")
		cancel() // those that wait leave, except the one that another waits for too
		if held := q.held(); held[1] != 1 {
			t.Errorf("%d wait", held[1])
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !shared.got().found || len(s.questions()) != maxQuestions+1 || q.held() != [3]int{} {
			t.Errorf("%+v; asked %d; left %v", shared.got(), len(s.questions()), q.held())
		}
	})
}

func TestAQuestionOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type ctxKey struct{}
		var value any
		var inBatch *batch
		var completed bool
		q := newSourceQueue(func(ctx context.Context, _, _ string) sourceResult {
			value, inBatch = ctx.Value(ctxKey{}), batchFrom(ctx)
			time.Sleep(time.Second)
			completed = ctx.Err() == nil
			return sourceResult{found: true}
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), batchKey{}, &batch{}))
		gone := ask(context.WithValue(ctx, ctxKey{}, "trace"), q, "olga", "right")
		stays := ask(t.Context(), q, "olga", "right")
		cancel()
		synctest.Wait()
		wantUnavailable(t, "the caller who is gone", gone, context.Canceled)
		time.Sleep(time.Second)
		synctest.Wait()
		if !completed || !stays.got().found || value != "trace" || inBatch != nil {
			t.Errorf("completed %t, the other caller %+v, value %v, unit of work %v", completed, stays.got(), value, inBatch)
		}
	})
}

func TestASourceThatHangsOrBreaksIsUnavailable(t *testing.T) {
	const password = "secret, and in the panic"
	for name, test := range map[string]struct {
		ask   func(ctx context.Context, name, password string) sourceResult
		cause error
	}{
		"hangs": {(&askedSource{takes: time.Hour}).ask, context.DeadlineExceeded},
		"hangs, and does not heed its context": {func(context.Context, string, string) sourceResult {
			time.Sleep(time.Minute)
			return sourceResult{found: true}
		}, errSourceSlow},
		"panics": {func(_ context.Context, _, password string) sourceResult { panic(password) }, fosite.ErrTemporarilyUnavailable},
		"ends its goroutine": {func(context.Context, string, string) sourceResult {
			runtime.Goexit()
			return sourceResult{}
		}, errSourceEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newSourceQueue(test.ask)
				r := ask(t.Context(), q, "olga", password)
				time.Sleep(questionTime + time.Second)
				synctest.Wait()
				wantUnavailable(t, name, r, test.cause)
				if err := r.got().err; strings.Contains(err.Error(), "secret") {
					t.Errorf("the error holds the password: %v", err)
				}
				time.Sleep(time.Minute)
				if q.held() != [3]int{} {
					t.Errorf("left: %v", q.held())
				}
			})
		})
	}
}

// No entry of the queue tells a password, or equals one of another process.
func TestLoginsAreToldApartUnderAKeyOfTheProcess(t *testing.T) {
	one, two := newSourceQueue(nil), newSourceQueue(nil)
	if one.id("a", "bc") == one.id("ab", "c") || one.id("a", "b") == two.id("a", "b") || one.id("a", "b") != one.id("a", "b") {
		t.Error("logins are mixed up")
	}
}
