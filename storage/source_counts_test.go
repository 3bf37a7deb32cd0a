package storage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Who hangs up while the source is asked has guessed all the same: whether the user has been stored since would tell whether the
// guess was right.
func TestAGuessAtTheSourceCountsWithoutItsCaller(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		source := &oldUsers{}
		u := usersOf(t, r, source)
		for i, secret := range []string{"wrong", "right"} {
			for n := range 3 {
				name := fmt.Sprint("olga", i)
				if secret == "right" {
					name += fmt.Sprint(n)
				}
				ctx, hangUp := context.WithCancel(t.Context())
				ended := make(chan struct{})
				source.verify = func(ctx context.Context, name, password string) (User, Role, error) {
					hangUp()
					select {
					case <-ended: // it has not waited for the answer
					case <-time.After(50 * time.Millisecond):
					}
					return knowsOlga(ctx, name, password)
				}
				_, _ = u.VerifyPassword(ctx, name, secret, "192.0.2.1") // nobody reads the result
				close(ended)
				want := 0
				if secret == "wrong" {
					want = 2 * (n + 1) // by the network and by the user
				}
				if counted, flying := failures(t, u, name); counted != want || flying != 0 {
					t.Errorf("%s: %d counted, %d in flight, want %d", secret, counted, flying, want)
				}
			}
		}
	})
}

// What the source has refused was a guess, also if there is no time for the hash that hides it.
func TestAGuessThatTheSourceRefusesCountsWithoutAHash(t *testing.T) {
	source := &oldUsers{}
	u, err := NewUsers(storagetest.StartMiniredis(t).Client(t), Options{Password: cheap, Timeout: hang, Source: source})
	if err != nil {
		t.Fatal(err)
	}
	u.hasher.Gate = admission.NewGate(admission.Limits{Running: 1}) // nothing waits
	source.verify = func(ctx context.Context, name, password string) (User, Role, error) {
		if _, err := u.hasher.Gate.Enter(ctx, admission.Later); err != nil {
			t.Error(err)
		}
		return knowsOlga(ctx, name, password)
	}
	_, err = u.VerifyPassword(t.Context(), "olga", "wrong", "192.0.2.1")
	wantErr(t, "without a hash", err, fosite.ErrTemporarilyUnavailable)
	if counted, flying := failures(t, u, "olga"); counted != 2 || flying != 0 {
		t.Errorf("%d counted, %d in flight", counted, flying)
	}
}
