package keys_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// Run opens the set, replaces keys every RotateEvery, and follows another replica.
func TestRunRotatesAndFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		config := keys.Config{Store: store, Lead: time.Hour, RotateEvery: 24 * time.Hour, Reload: time.Minute}
		first := open(t, config)
		old, err := first.Signer(policy.ES256)
		if err != nil {
			t.Fatal(err)
		}
		config.RotateEvery = 0
		second, err := keys.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if second.Loaded() {
			t.Error("a new set has keys")
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for _, set := range []*keys.Set{first, second} {
			go set.Run(ctx, slog.New(slog.DiscardHandler))
		}
		for _, row := range []struct {
			after   time.Duration
			rotated bool
		}{{23 * time.Hour, false}, {time.Hour + time.Minute, true}} {
			time.Sleep(row.after)
			for _, set := range []*keys.Set{first, second} {
				if k, err := set.Signer(policy.ES256); err != nil || (k.ID != old.ID) != row.rotated {
					t.Errorf("after %v: %v, another key: %v, want %v", row.after, err, k.ID != old.ID, row.rotated)
				}
			}
		}
	})
}
