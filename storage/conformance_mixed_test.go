package storage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Two servers on one Redis may refresh in different ways, ours in one step and stock fosite in three. Within the grace the
// second must not be told that it has rotated a token which the first has used up.
func TestRotationInThreeStepsAfterOneInOneStep(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		ctx := context.Background()
		s := newStore(t, r.Client(t), storage.Options{})
		grace := storage.Duration(10 * time.Second)
		c := &storage.Client{ID: "mixed", Public: true, Grants: []string{"password"}, Grace: &grace}
		if err := s.PutClient(ctx, c); err != nil {
			t.Fatal(err)
		}
		id := storage.NewSessionID("alice")
		sig := func(name string) string { return storage.Signature(id, name) }
		req := sessionRequest(id, "alice", c, time.Hour, time.Hour)
		if err := login(ctx, s, sig("a1"), sig("r1"), req); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RefreshSession(ctx, sig("r1"), sig("a2"), sig("r2"), []byte("answer"), req); err != nil {
			t.Fatal(err)
		}
		err := rotateAsFosite(ctx, s, sig("r1"), sig("a3"), sig("r3"), req)
		if !errors.Is(err, fosite.ErrSerializationFailure) && !errors.Is(err, fosite.ErrInactiveToken) {
			t.Errorf("rotating the used token again: %v, want a verdict", err)
		}
		if _, err := s.GetRefreshTokenSession(ctx, sig("r2"), &compact{}); err != nil {
			t.Errorf("the successor is gone: %v", err)
		}
	})
}
