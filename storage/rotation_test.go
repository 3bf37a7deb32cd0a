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

// Of two servers on one Redis one may refresh with RefreshSession and the other with fosite's three calls. Within the grace the
// second must not be told that it has rotated a token which the first has rotated.
func TestRotationInThreeCallsAfterOneInOneCall(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		ctx := context.Background()
		s, err := storage.New(r.Client(t), storage.Options{Timeout: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		grace := storage.Duration(time.Minute)
		c := &storage.Client{ID: "mixed", Public: true, Grants: []string{"password"}, Grace: &grace}
		if err := s.PutClient(ctx, c); err != nil {
			t.Fatal(err)
		}
		id := storage.NewSessionID("alice")
		sig := func(name string) string { return storage.Signature(id, name) }
		session := &storagetest.Session{Subject: "alice"}
		session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
		session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
		req := &fosite.Request{ID: id, Client: c, Session: session}
		if err := errors.Join(s.CreateAccessTokenSession(ctx, sig("a1"), req), s.CreateRefreshTokenSession(ctx, sig("r1"), sig("a1"), req)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RefreshSession(ctx, sig("r1"), sig("a2"), sig("r2"), []byte("answer"), req); err != nil {
			t.Fatal(err)
		}

		tx, err := s.BeginTX(ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = s.RotateRefreshToken(tx, id, sig("r1"))
		if err == nil {
			err = errors.Join(s.CreateAccessTokenSession(tx, sig("a3"), req), s.CreateRefreshTokenSession(tx, sig("r3"), sig("a3"), req), s.Commit(tx))
		}
		if !errors.Is(err, fosite.ErrSerializationFailure) && !errors.Is(err, fosite.ErrInactiveToken) {
			t.Errorf("rotating the rotated token again: %v, want a refusal", err)
		}
		if _, err := s.GetRefreshTokenSession(ctx, sig("r2"), &storagetest.Session{}); err != nil {
			t.Errorf("the successor is gone: %v", err)
		}
	})
}
