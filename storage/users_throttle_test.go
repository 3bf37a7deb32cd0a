package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

func limitedUsers(t *testing.T, r *storagetest.Instance, limits throttle.Limits) *Users {
	t.Helper()
	u, err := NewUsers(r.Client(t), Options{Password: cheap, Timeout: hang, Throttle: limits})
	if err != nil {
		t.Fatal(err)
	}
	u.hasher.Gate = nil // a busy machine is not a fault
	return u
}

// results counts logins by their result.
type results struct{ succeeded, failed, throttled, unavailable atomic.Int32 }

func (r *results) login(t *testing.T, u *Users, name, secret, address string) {
	t.Helper()
	_, err := u.Login(t.Context(), name, secret, address)
	switch {
	case err == nil:
		r.succeeded.Add(1)
	case errors.As(err, new(policy.TooManyAttempts)):
		r.throttled.Add(1)
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		r.unavailable.Add(1)
		t.Error(err)
	case errors.Is(err, fosite.ErrNotFound):
		r.failed.Add(1)
	default:
		t.Error(err)
	}
}

func TestParallelGuessesGetNoMoreHashesThanTheLimit(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u := limitedUsers(t, r, throttle.Limits{PerUser: 50})
		mustAdd(t, u, "alice", "right", "")
		for from, row := range map[string]struct {
			address func(i int) string
			limit   int
		}{
			"one network":  {func(i int) string { return fmt.Sprintf("198.51.100.%d", i) }, 10},
			"200 networks": {func(i int) string { return fmt.Sprintf("10.0.%d.1", i) }, 50},
			"no address":   {func(int) string { return "" }, 50},
		} {
			for _, name := range []string{"alice", "nobody"} {
				if _, err := u.Throttle().ClearUser(t.Context(), name, false); err != nil {
					t.Fatal(err)
				}
				before := u.PasswordRuns()
				var all sync.WaitGroup
				var got results
				for i := range 200 {
					all.Go(func() { got.login(t, u, name, fmt.Sprint("guess", i), row.address(i)) })
				}
				all.Wait()
				runs := u.PasswordRuns() - before
				if runs != int64(row.limit) || int(got.failed.Load()) != row.limit || int(got.throttled.Load()) != 200-row.limit {
					t.Errorf("%s, from %s: %d hashes for 200 guesses, %d failed, %d throttled, want %d",
						name, from, runs, got.failed.Load(), got.throttled.Load(), row.limit)
				}
			}
		}
	})
}

// Right passwords are not refused for being in flight, however many come at once.
func TestParallelRightLoginsAllSucceed(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u := limitedUsers(t, r, throttle.Limits{})
		mustAdd(t, u, "alice", "right", "")
		for i := range 50 {
			mustAdd(t, u, fmt.Sprint("user", i), "right", "")
		}
		for _, n := range []int{40, 200, 500} {
			before := u.PasswordRuns()
			var all sync.WaitGroup
			var got results
			for range n {
				all.Go(func() { got.login(t, u, "alice", "right", "192.0.2.1") })
			}
			all.Wait()
			if int(got.succeeded.Load()) != n || u.PasswordRuns()-before > int64(n/4) {
				t.Errorf("%d of %d logins of one account succeeded, with %d hashes", got.succeeded.Load(), n, u.PasswordRuns()-before)
			}
		}
		var all sync.WaitGroup
		var got results
		for i := range 200 {
			all.Go(func() { got.login(t, u, "alice", "right", fmt.Sprintf("10.0.%d.1", i)) })
			all.Go(func() { got.login(t, u, fmt.Sprint("user", i%50), "right", "192.0.2.1") })
		}
		all.Wait()
		if got.succeeded.Load() != 400 {
			t.Errorf("%d of 400 logins from other networks and of other accounts succeeded", got.succeeded.Load())
		}
	})
}

// A right password among wrong ones, all in flight at once, succeeds or is told to come back: it never fails.
func TestRightLoginsAmongGuesses(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u := limitedUsers(t, r, throttle.Limits{})
		mustAdd(t, u, "alice", "right", "")
		if _, err := u.Login(t.Context(), "alice", "right", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		var flood, owner sync.WaitGroup
		var guesses, logins results
		for i := range 300 {
			flood.Go(func() { guesses.login(t, u, "alice", fmt.Sprint("guess", i), fmt.Sprintf("10.%d.%d.1", i%3, i)) })
		}
		owner.Go(func() {
			for range 100 {
				logins.login(t, u, "alice", "right", "192.0.2.1")
			}
		})
		flood.Wait()
		owner.Wait()
		if logins.succeeded.Load() != 100 {
			t.Errorf("the owner, from a known network in the midst of a flood: %d of 100 succeeded", logins.succeeded.Load())
		}
		for i := range 500 {
			guesses.login(t, u, "alice", fmt.Sprint("guess", i), fmt.Sprintf("10.9.%d.1", i%250))
		}
		for i := range 100 {
			logins.login(t, u, "alice", "right", fmt.Sprintf("172.16.%d.1", i))
		}
		if logins.succeeded.Load() != 200 {
			t.Errorf("the owner, from new networks after 800 guesses: %d of 100 succeeded", logins.succeeded.Load()-100)
		}
		if guesses.failed.Load() != 800 {
			t.Errorf("%d of 800 guesses were compared: the test shows nothing", guesses.failed.Load())
		}
	})
}

// failures returns what is counted of a user without an address, and how much of it is in flight.
func failures(t *testing.T, u *Users, name string) (counted, flying int) {
	t.Helper()
	list, _, err := u.Throttle().ListUser(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		counted += e.Failures
		flying += e.InFlight
	}
	return counted, flying
}

// What becomes of an attempt when Redis fails in the midst of it: a guess is counted before it is answered, and an answer without
// a count is 503.
func TestRedisFailsBetweenAttemptAndResult(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, hook := r.Client(t), &failing{after: -1, err: errors.New("broken")}
		rdb.AddHook(hook)
		u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"alice", "bob", "carol", "warm"} {
			mustAdd(t, u, name, "right", "")
		}
		_, _ = u.Login(t.Context(), "warm", "wrong", "")
		for _, row := range []struct {
			name, password string
			after, trips   int
			err            error
			counted        int
		}{
			{"alice", "wrong", 2, 3, fosite.ErrTemporarilyUnavailable, 1},  // it cannot be counted
			{"bob", "wrong", 1, 3, fosite.ErrTemporarilyUnavailable, 1},    // it cannot be made to cost the same
			{"nobody", "wrong", 1, 3, fosite.ErrTemporarilyUnavailable, 1}, // likewise
			{"carol", "right", 1, 2, nil, 1},                               // the result is known, and is sent again later
		} {
			hook.set(row.after)
			_, err := u.Login(t.Context(), row.name, row.password, "")
			trips := hook.count()
			hook.set(-1)
			if !errors.Is(err, row.err) || errors.Is(err, fosite.ErrNotFound) || trips != row.trips {
				t.Errorf("%s: %v after %d round trips", row.name, err, trips)
			}
			if counted, _ := failures(t, u, row.name); counted != row.counted {
				t.Errorf("%s: %d counted, want %d", row.name, counted, row.counted)
			}
		}
	})
}

// An attempt whose password was not compared is taken back.
func TestUnreadableRecordsAreNotFailures(t *testing.T) {
	u := limitedUsers(t, storagetest.StartMiniredis(t), throttle.Limits{PerUserNetwork: 3})
	if err := u.db.Client.Set(t.Context(), u.db.Keys.User(redisdb.SubjectTag("alice")), "CANARY", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := u.Login(t.Context(), "alice", "one", "192.0.2.1"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Fatal(err)
		}
	}
	if counted, _ := failures(t, u, "alice"); counted != 0 {
		t.Errorf("%d counted", counted)
	}
}

// Disabled users fail like others, and a password that is in the cache is refused like others: otherwise a guesser would learn
// which password is right.
func TestNothingPassesARefusal(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, off := limitedUsers(t, r, throttle.Limits{PerUserNetwork: 3}), false
		u.cache = password.NewCache(time.Hour)
		mustAdd(t, u, "alice", "right", "")
		mustAdd(t, u, "gone", "right", "")
		if err := u.ChangeUser(t.Context(), "gone", UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
		var got results
		got.login(t, u, "alice", "right", "192.0.2.1")
		for range 3 {
			got.login(t, u, "alice", "wrong", "192.0.2.1")
			got.login(t, u, "gone", "right", "192.0.2.1")
		}
		before := u.PasswordRuns()
		got.login(t, u, "alice", "right", "192.0.2.1")
		got.login(t, u, "gone", "right", "192.0.2.1")
		if got.succeeded.Load() != 1 || got.failed.Load() != 6 || got.throttled.Load() != 2 || u.PasswordRuns() != before {
			t.Errorf("%d succeeded, %d failed, %d throttled", got.succeeded.Load(), got.failed.Load(), got.throttled.Load())
		}
		if s := u.LoginStats(); s.Succeeded != 1 || s.Failed != 6 || s.Throttled != 2 || s.Unavailable != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWithoutAThrottleNothingIsCounted(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	u := limitedUsers(t, r, throttle.Limits{Disabled: true})
	mustAdd(t, u, "alice", "right", "")
	keys := len(r.Keys(t))
	ctx, err := (&Tokens{db: u.db}).BeginTX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got results
	for i := range 300 {
		got.login(t, u, "alice", fmt.Sprint(i), "192.0.2.1")
	}
	if _, err := u.Login(ctx, "alice", "right", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if got.failed.Load() != 300 || len(r.Keys(t)) != keys {
		t.Errorf("%d failed; keys %q", got.failed.Load(), r.Keys(t))
	}
	if batchFrom(ctx).known("alice") == nil {
		t.Error("the account was not read")
	}
}
