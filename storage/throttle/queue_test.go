package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// waitFor waits until so many logins wait.
func waitFor(t *testing.T, th *Throttle, n int) {
	t.Helper()
	for th.queue.Waiting() != n {
		if t.Context().Err() != nil {
			t.Fatalf("%d wait, want %d", th.queue.Waiting(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// A bucket that is full with attempts in flight makes others wait: for room when they succeed, for the refusal when they fail.
func TestAttemptsInFlightAreWaitedFor(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		for name, limits := range map[string]Limits{
			"user and network": {PerUserNetwork: 3, Window: time.Hour},
			"user":             {PerUserNetwork: -1, PerUser: 3, UserWindow: time.Hour},
			"network":          {PerUserNetwork: -1, PerUser: -1, PerNetwork: 3, Window: time.Hour},
		} {
			for _, result := range []Result{Failed, Succeeded, Cancelled} {
				th := testThrottle(t, r, limits)
				user, address := name+string(result), "192.0.2.1"
				if name == "network" {
					address = map[Result]string{Failed: "198.51.100.1", Succeeded: "198.51.101.1", Cancelled: "198.51.102.1"}[result]
				}
				var flying []Attempt
				for range 3 {
					a, wait := reserve(t, th, user, address)
					mustPass(t, "the first three", wait)
					flying = append(flying, a)
				}
				var all sync.WaitGroup
				passed, refused := make(chan Attempt, 20), make(chan error, 20)
				for range 20 {
					all.Go(func() {
						a, err := th.Reserve(t.Context(), user, address, nil)
						if err != nil {
							refused <- err
							return
						}
						passed <- a
						if err := th.Settle(t.Context(), a, result); err != nil {
							t.Error(err)
						}
					})
				}
				waitFor(t, th, 20)
				for _, a := range flying {
					settle(t, th, a, result)
				}
				all.Wait()
				want := 20
				if result == Failed {
					want = 0
				}
				if len(passed) != want || len(refused) != 20-want {
					t.Errorf("%s, %s: %d passed and %d refused", name, result, len(passed), len(refused))
				}
				for range len(refused) {
					if err := <-refused; !errors.As(err, new(policy.TooManyAttempts)) {
						t.Errorf("%s: %v", name, err)
					}
				}
				waitFor(t, th, 0)
				if len(th.queue.lines) != 0 {
					t.Errorf("%s: lines left: %d", name, len(th.queue.lines))
				}
			}
		}
	})
}

// All who wait are told at once when the attempts before them have failed, without asking Redis each.
func TestALineIsToldAtOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		var trips storagetest.Trips
		rdb.AddHook(&trips)
		th := throttleOn(t, rdb, Limits{PerUserNetwork: 1, Window: time.Hour})
		a, _ := reserve(t, th, "alice", "192.0.2.1")
		var all sync.WaitGroup
		join := func() {
			all.Go(func() {
				if _, err := th.Reserve(t.Context(), "alice", "192.0.2.1", nil); !errors.As(err, new(policy.TooManyAttempts)) {
					t.Error(err)
				}
			})
		}
		join()
		waitFor(t, th, 1)
		for range 500 {
			join() // behind the first, without a round trip
		}
		waitFor(t, th, 501)
		settle(t, th, a, Failed)
		all.Wait()
		if n, _ := trips.Take(); n > 250 {
			t.Errorf("%d round trips for 501 refusals", n)
		}
	})
}

// Attempts of another process are waited for too.
func TestAttemptsOfOtherReplicasAreWaitedFor(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		limits := Limits{PerUserNetwork: 1, Window: time.Hour}
		one, two := testThrottle(t, r, limits), testThrottle(t, r, limits)
		a, _ := reserve(t, one, "alice", "192.0.2.1")
		answer := make(chan error, 1)
		go func() {
			_, err := two.Reserve(t.Context(), "alice", "192.0.2.1", nil)
			answer <- err
		}()
		waitFor(t, two, 1)
		settle(t, one, a, Succeeded)
		if err := <-answer; err != nil {
			t.Error(err)
		}
	})
}

// What a process has reserved that died counts as failures, first as attempts in flight, and is forgotten with time.
func TestAttemptsOfADeadProcess(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	limits := Limits{PerUserNetwork: 2, Window: time.Hour}
	dead, alive := testThrottle(t, r, limits), testThrottle(t, r, limits)
	reserve(t, dead, "alice", "192.0.2.1")
	reserve(t, dead, "alice", "192.0.2.1")
	ctx, stop := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := alive.Reserve(ctx, "alice", "192.0.2.1", nil)
		answer <- err
	}()
	waitFor(t, alive, 1) // it is not known yet that they have failed
	stop()
	if err := <-answer; !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("who has given up: %v", err)
	}
	r.Advance(flightTime + time.Second)
	wait := attempt(t, alive, "alice", "192.0.2.1", Failed)
	mustWait(t, "after the deadline", wait, 30*time.Minute)
	r.Advance(wait)
	mustPass(t, "after a while", attempt(t, alive, "alice", "192.0.2.1", Failed))
}

// The wait is bounded in time and number, whether or not anything happens.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init()
		begun := time.Now()
		w, err := q.move(nil, "line")
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for {
			if err = q.turn(t.Context(), w); err != nil {
				break
			}
			asked++
		}
		q.leave(w)
		if took := time.Since(begun); took != maxWait || !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.As(err, new(policy.TooManyAttempts)) {
			t.Errorf("%v after %v", err, took)
		}
		if asked < 10 || asked > 60 {
			t.Errorf("asked Redis %d times in %v", asked, maxWait)
		}
		for i := range maxWaiting {
			if _, err := q.move(nil, fmt.Sprint("line ", i%7)); err != nil {
				t.Fatal(i, err)
			}
		}
		if _, err := q.move(nil, "line"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("one more: %v", err)
		}
		if q.behind("line 1") != nil {
			t.Error("one more is let in behind others")
		}
	})
}

// First come, first served: only the first of a line asks Redis, and who comes later is behind it.
func TestLinesAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init()
		first, err := q.move(nil, "line")
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 10 {
			w := q.behind("line")
			if w == nil {
				t.Fatal("no line")
			}
			go func() {
				if err := q.turn(t.Context(), w); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				q.leave(w)
			}()
			synctest.Wait()
		}
		q.wake("line") // wakes the first alone, which does not go
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%v are past the first", order)
		}
		q.leave(first)
		synctest.Wait()
		if fmt.Sprint(order) != "[0 1 2 3 4 5 6 7 8 9]" || q.Waiting() != 0 {
			t.Errorf("order %v, %d wait", order, q.Waiting())
		}
	})
}

// Who was told while asking Redis, and is about to wait in another line, waits no more.
func TestWhoWasToldJoinsNoOtherLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init()
		w, err := q.move(nil, "one")
		if err != nil {
			t.Fatal(err)
		}
		told := errors.New("told")
		q.tell("one", told)
		if w, err = q.move(w, "two"); err != nil {
			t.Fatal(err)
		}
		q.tell("two", errors.New("told again"))
		if err := q.turn(t.Context(), w); !errors.Is(err, told) {
			t.Error(err)
		}
		q.leave(w)
		if n := q.Waiting(); n != 0 || len(q.lines) != 0 {
			t.Errorf("%d wait in %d lines", n, len(q.lines))
		}
	})
}
