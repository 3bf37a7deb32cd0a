package throttle

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func testThrottle(t *testing.T, r *storagetest.Instance, limits Limits) *Throttle {
	t.Helper()
	return throttleOn(t, r.Client(t), limits)
}

func throttleOn(t *testing.T, rdb redis.UniversalClient, limits Limits) *Throttle {
	t.Helper()
	db, err := redisdb.New(redisdb.Config{Client: rdb, Prefix: "opgrant:", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return New(db, limits)
}

// reserve returns the attempt, or after what time one may be made.
func reserve(t *testing.T, th *Throttle, user, address string) (Attempt, time.Duration) {
	t.Helper()
	a, err := th.Reserve(t.Context(), user, address, nil)
	var refused policy.TooManyAttempts
	if errors.As(err, &refused) {
		if refused.RetryAfter <= 0 {
			t.Errorf("%s from %s: refused without a time", user, address)
		}
		return a, refused.RetryAfter
	}
	if err != nil {
		t.Fatalf("%s from %s: %v", user, address, err)
	}
	return a, 0
}

func settle(t *testing.T, th *Throttle, a Attempt, result Result) {
	t.Helper()
	if err := th.Settle(t.Context(), a, result); err != nil {
		t.Fatal(err)
	}
}

// attempt makes one whole attempt and returns for how long it is refused, zero if it was made.
func attempt(t *testing.T, th *Throttle, user, address string, result Result) time.Duration {
	t.Helper()
	a, wait := reserve(t, th, user, address)
	if wait == 0 {
		settle(t, th, a, result)
	}
	return wait
}

func mustPass(t *testing.T, what string, wait time.Duration) {
	t.Helper()
	if wait != 0 {
		t.Errorf("%s: refused for %v", what, wait)
	}
}

func mustWait(t *testing.T, what string, wait, most time.Duration) {
	t.Helper()
	if wait <= 0 || wait > most {
		t.Errorf("%s: refused for %v, want up to %v", what, wait, most)
	}
}
