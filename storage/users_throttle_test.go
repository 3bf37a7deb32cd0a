package storage

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

func TestParallelGuessesGetNoMoreHashesThanTheLimit(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		u.hasher.Gate = nil // a busy machine is not a fault
		th := u.NewThrottle(throttle.Limits{})
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

func TestThrottleReadsTheAccountWhenItIsOff(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	u := testUsers(t, r)
	off := throttle.Limit{Failures: -1}
	th := u.NewThrottle(throttle.Limits{PerUser: off, PerAddress: off})
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
	if err := th.Succeeded(ctx, "alice", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
}
