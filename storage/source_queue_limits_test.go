package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

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
		for i := range maxLogins {
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
		q := newSourceQueue(func(ctx context.Context, _, _ string, _ func()) sourceResult {
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
		time.Sleep(time.Second)
		synctest.Wait()
		if !completed || !gone.got().found || !stays.got().found || value != "trace" || inBatch != nil {
			t.Errorf("completed %t, the other caller %+v, value %v, unit of work %v", completed, stays.got(), value, inBatch)
		}
	})
}

func TestASourceThatHangsOrBreaksIsUnavailable(t *testing.T) {
	const password = "secret, and in the panic"
	for name, test := range map[string]struct {
		ask   importFunc
		cause error
	}{
		"hangs": {func(context.Context, string, string, func()) sourceResult {
			time.Sleep(time.Minute)
			return sourceResult{found: true}
		}, errSourceSlow},
		"panics": {func(_ context.Context, _, password string, _ func()) sourceResult { panic(password) }, fosite.ErrTemporarilyUnavailable},
		"ends its goroutine": {func(context.Context, string, string, func()) sourceResult {
			runtime.Goexit()
			return sourceResult{}
		}, errSourceEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newSourceQueue(test.ask)
				r := ask(t.Context(), q, "olga", password)
				time.Sleep(loginTime)
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
	if one.key.Of("a", "bc") == one.key.Of("ab", "c") || one.key.Of("a", "b") == two.key.Of("a", "b") {
		t.Error("logins are mixed up")
	}
}
