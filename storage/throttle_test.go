package storage

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func allow(t *testing.T, th *Throttle, user, address string) time.Duration {
	t.Helper()
	retry, err := th.Reserve(t.Context(), user, address)
	if err != nil {
		t.Fatalf("allow %s from %s: %v", user, address, err)
	}
	return retry
}

func succeeded(t *testing.T, th *Throttle, user, address string) {
	t.Helper()
	if err := th.Succeeded(t.Context(), user, address); err != nil {
		t.Fatal(err)
	}
}

func TestThrottleCountsFailures(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testUsers(t, r).NewThrottle(ThrottleLimits{PerUser: ThrottleLimit{Failures: 3, Period: time.Minute}})
		for _, user := range []string{"alice", "nobody"} {
			for i := range 3 {
				if retry := allow(t, th, user, fmt.Sprintf("192.0.2.%d", i)); retry != 0 {
					t.Errorf("%s: attempt %d waits %v", user, i, retry)
				}
			}
			if retry := allow(t, th, user, "192.0.2.9"); retry <= 0 || retry > 20*time.Second {
				t.Errorf("%s: after three failures: %v", user, retry)
			}
		}
		if retry := allow(t, th, "carol", "192.0.2.1"); retry != 0 {
			t.Errorf("another user waits %v", retry)
		}

		// A success forgets what came before it.
		for range 5 {
			for range 2 {
				allow(t, th, "dave", "192.0.2.1")
			}
			if retry := allow(t, th, "dave", "192.0.2.1"); retry != 0 {
				t.Fatalf("dave waits %v", retry)
			}
			succeeded(t, th, "dave", "192.0.2.1")
		}
		if err := th.Cancel(t.Context(), "dave", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestThrottleLetsPassAgainAfterAWhile(t *testing.T) {
	r := storagetest.StartMiniredis(t) // its clock can be moved
	th := testUsers(t, r).NewThrottle(ThrottleLimits{PerUser: ThrottleLimit{Failures: 2, Period: time.Hour}})
	allow(t, th, "alice", "")
	allow(t, th, "alice", "")
	retry := allow(t, th, "alice", "")
	if retry <= 0 || retry > 30*time.Minute {
		t.Fatalf("waits %v", retry)
	}
	r.Advance(retry + time.Second)
	if retry := allow(t, th, "alice", ""); retry != 0 {
		t.Errorf("after waiting: %v", retry)
	}
	if retry := allow(t, th, "alice", ""); retry == 0 {
		t.Error("one wait lets two pass")
	}
}

func TestThrottleCountsAddresses(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		limits := ThrottleLimits{PerUser: ThrottleLimit{Failures: 2, Period: time.Hour}, PerAddress: ThrottleLimit{Failures: 4, Period: time.Hour}}
		th := testUsers(t, r).NewThrottle(limits)
		for i := range 4 {
			if retry := allow(t, th, fmt.Sprint("user", i), "2001:db8::1"); retry != 0 {
				t.Fatalf("attempt %d: %v", i, retry)
			}
		}
		for _, same := range []string{"2001:db8::1", "2001:db8::ffff:1", "2001:db8::1%eth0"} {
			if allow(t, th, "victim", same) == 0 {
				t.Errorf("%s: not the same network", same)
			}
		}
		// The address was refused: the user must not be locked out by it.
		for range 2 {
			if retry := allow(t, th, "victim", "2001:db8:1::1"); retry != 0 {
				t.Errorf("the victim pays: %v", retry)
			}
		}
		// The user was refused: the address must not be locked out by that.
		for range 10 {
			if allow(t, th, "victim", "203.0.113.7") == 0 {
				t.Fatal("the victim is not throttled")
			}
		}
		if retry := allow(t, th, "other", "::ffff:203.0.113.7"); retry != 0 {
			t.Errorf("the address pays: %v", retry)
		}
	})
}

// Logging in as oneself does not wipe out what an address tried with others, nor does it use the address up.
func TestSuccessForgivesTheAddressOneAttemptOnly(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testUsers(t, r).NewThrottle(ThrottleLimits{PerAddress: ThrottleLimit{Failures: 5, Period: time.Hour}})
		for i := range 40 {
			if retry := allow(t, th, "own", "192.0.2.1"); retry != 0 {
				t.Fatalf("good login %d waits %v", i, retry)
			}
			succeeded(t, th, "own", "192.0.2.1")
		}
		guesses := 0
		for i := range 20 {
			if allow(t, th, fmt.Sprint("victim", i), "192.0.2.1") != 0 {
				break
			}
			guesses++
			if allow(t, th, "own", "192.0.2.1") == 0 {
				succeeded(t, th, "own", "192.0.2.1")
			}
		}
		if guesses < 4 || guesses > 5 {
			t.Errorf("%d guesses among good logins, want the limit of 5", guesses)
		}
	})
}

func TestParallelGuessesGetNoMoreHashesThanTheLimit(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		u.hasher.wait = hang
		th := u.NewThrottle(ThrottleLimits{})
		mustAdd(t, u, "alice", "right", "")
		for _, name := range []string{"alice", "nobody"} {
			before := u.PasswordRuns()
			var all sync.WaitGroup
			for i := range 200 {
				all.Go(func() {
					retry, err := th.Reserve(ctx, name, fmt.Sprintf("198.51.100.%d", i))
					if err != nil {
						t.Error(err)
					}
					if err != nil || retry > 0 {
						return
					}
					if _, err := u.Authenticate(ctx, name, fmt.Sprint("guess", i)); !errors.Is(err, fosite.ErrNotFound) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if runs := u.PasswordRuns() - before; runs != 10 {
				t.Errorf("%s: %d hashes for 200 guesses, want 10", name, runs)
			}
		}
	})
}

func TestThrottleKeysAreNamedByHashAndExpire(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		th := u.NewThrottle(ThrottleLimits{})
		allow(t, th, "alice", "192.0.2.1")
		allow(t, th, "bob", "192.0.2.2")
		succeeded(t, th, "bob", "192.0.2.2")
		allow(t, th, "carol", "192.0.2.1")
		if err := th.Cancel(ctx, "carol", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		keys := r.Keys(t)
		if len(keys) != 2 {
			t.Errorf("keys: %q", keys)
		}
		for _, key := range keys {
			ttl, err := u.db.rdb.TTL(ctx, key).Result()
			if ttl <= 0 || ttl > 31*time.Second || err != nil {
				t.Errorf("%s expires in %v, %v", key, ttl, err)
			}
			if !strings.HasPrefix(key, "opgrant:t:") || strings.Contains(key, "alice") || strings.Contains(key, "192") {
				t.Errorf("key %q", key)
			}
		}
	})
}

func TestThrottleCanBeOff(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	u := testUsers(t, r)
	off := ThrottleLimit{Failures: -1}
	th := u.NewThrottle(ThrottleLimits{PerUser: off, PerAddress: off})
	mustAdd(t, u, "alice", "one", "")
	ctx, err := (&Tokens{db: u.db}).BeginTX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if retry, err := th.Reserve(ctx, "alice", "192.0.2.1"); retry != 0 || err != nil {
			t.Fatalf("%v, %v", retry, err)
		}
	}
	if batchFrom(ctx).known("alice") == nil {
		t.Error("the account was not read")
	}
	succeeded(t, th, "alice", "192.0.2.1")
}
