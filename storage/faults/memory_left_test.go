package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Sessions leave nothing behind when they have expired, whatever happened to them before: no key, no member of an index.
func TestNothingIsLeftOfExpiredSessions(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	s := newStore(t, standalone(t, srv.Addr)(), storage.Options{})
	ctx := context.Background()
	grace := storage.Duration(500 * time.Millisecond)
	clients := []*storage.Client{
		{ID: "many", Public: true, Grants: []string{"password"}, Grace: &grace},
		{ID: "one", Public: true, Grants: []string{"password"}, Grace: &grace, SessionsPerUser: 1},
	}
	for _, c := range clients {
		if err := s.PutClient(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	const ttl = 2 * time.Second
	n := scale(5_000, 100_000)
	eachOf(t, n, func(i int) error {
		subject := fmt.Sprint("user", i%500)
		id := storage.NewSessionID(subject)
		sig := func(name string) string { return storage.Signature(id, name) }
		req := sessionRequest(id, subject, clients[i%2], ttl/2, ttl)
		if i%7 == 0 { // foreign ID and signatures, as fosite makes them
			req.ID = fmt.Sprintf("foreign-%d", i)
			sig = func(name string) string { return fmt.Sprintf("%s-of-%d", name, i) }
		}
		if err := login(ctx, s, sig("a"), sig("r"), req); err != nil {
			return err
		}
		var err error
		switch i % 6 {
		case 1:
			_, err = s.RefreshSession(ctx, sig("r"), sig("a2"), "", nil, req)
		case 2:
			_, err = s.RefreshSession(ctx, sig("r"), sig("a2"), sig("r2"), []byte("answer"), req)
		case 3:
			err = s.RevokeSession(ctx, req.ID)
		case 4:
			err = s.DeleteAccessTokenSession(ctx, sig("a"))
		case 5:
			err = s.RevokeRefreshToken(ctx, req.ID)
		}
		if i%2 == 1 && isRefusal(err) {
			return nil // a later login of this user has ended the session
		}
		return err
	})
	r := &storagetest.Instance{Addr: srv.Addr, Server: srv}
	var left []string
	for end := time.Now().Add(ttl + 20*time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if left = sessionKeys(r.Keys(t)); len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("%d keys are left of %d expired sessions, such as %q", len(left), n, left[:min(5, len(left))])
	}
	lasting := 0
	for _, key := range r.Keys(t) {
		if ttl := srv.Client(t).PTTL(ctx, key).Val(); ttl < 0 {
			lasting++
		}
	}
	t.Logf("%d sessions expired, %d keys of sessions left, %d keys without expiry (registries)", n, len(left), lasting)
}

// sessionKeys returns the keys that belong to sessions, with their indexes and pointers.
func sessionKeys(keys []string) []string {
	var left []string
	for _, k := range keys {
		switch strings.SplitN(strings.TrimPrefix(k, "opgrant:"), ":", 2)[0] {
		case "epoch", "c", "clients":
		default:
			left = append(left, k)
		}
	}
	return left
}

func isRefusal(err error) bool {
	return errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrInactiveToken)
}
