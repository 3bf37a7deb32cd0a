package throttle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func testThrottle(t *testing.T, r *storagetest.Instance, limits Limits) *Throttle {
	t.Helper()
	db, err := redisdb.New(redisdb.Config{Client: r.Client(t), Prefix: "opgrant:", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return New(db, limits, nil)
}

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
		th := testThrottle(t, r, Limits{PerUser: Limit{Failures: 3, Period: time.Minute}})
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
	th := testThrottle(t, r, Limits{PerUser: Limit{Failures: 2, Period: time.Hour}})
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
		limits := Limits{PerUser: Limit{Failures: 2, Period: time.Hour}, PerAddress: Limit{Failures: 4, Period: time.Hour}}
		th := testThrottle(t, r, limits)
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
		th := testThrottle(t, r, Limits{PerAddress: Limit{Failures: 5, Period: time.Hour}})
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

func TestThrottleKeysAreNamedByHashAndExpire(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th, ctx := testThrottle(t, r, Limits{}), t.Context()
		allow(t, th, "alice", "192.0.2.1")
		allow(t, th, "bob", "192.0.2.2")
		succeeded(t, th, "bob", "192.0.2.2")
		allow(t, th, "carol", "192.0.2.1")
		if err := th.Cancel(ctx, "carol", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		keys := slices.DeleteFunc(r.Keys(t), func(key string) bool { return key == "opgrant:epoch" })
		if len(keys) != 2 {
			t.Errorf("keys: %q", keys)
		}
		for _, key := range keys {
			ttl, err := th.db.Client.TTL(ctx, key).Result()
			if ttl <= 0 || ttl > 31*time.Second || err != nil {
				t.Errorf("%s expires in %v, %v", key, ttl, err)
			}
			if !strings.HasPrefix(key, "opgrant:f:") || strings.Contains(key, "alice") || strings.Contains(key, "192") {
				t.Errorf("key %q", key)
			}
		}
	})
}

// go-redis sends a command again when its reply was lost: that must not count twice.
func TestALostReplyCountsOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		rdb.AddHook(twice{})
		db, err := redisdb.New(redisdb.Config{Client: rdb, Prefix: "opgrant:", Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		th := New(db, Limits{PerUser: Limit{Failures: 3, Period: time.Hour}, PerAddress: Limit{Failures: 3, Period: time.Hour}}, nil)
		for i := range 3 {
			if retry := allow(t, th, "alice", "192.0.2.1"); retry != 0 {
				t.Fatalf("attempt %d waits %v", i, retry)
			}
		}
		if err := th.Cancel(t.Context(), "alice", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		if retry := allow(t, th, "alice", "192.0.2.1"); retry != 0 {
			t.Errorf("after a cancelled attempt: waits %v", retry)
		}
		if retry := allow(t, th, "alice", "192.0.2.1"); retry == 0 {
			t.Error("one cancelled attempt lets two pass")
		}
	})
}

// Refused connections are an error like any other: with the library that this package used before, they ended the process.
func TestReserveWithoutRedisIsUnavailable(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	th := testThrottle(t, r, Limits{})
	r.Mini.Close()
	if _, err := th.Reserve(t.Context(), "alice", "192.0.2.1"); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}

// twice is a go-redis hook that sends every pipeline twice and returns the second reply.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}
