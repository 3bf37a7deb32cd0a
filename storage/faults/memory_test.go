package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// manySessions is 100 000 with OPGRANT_TEST_FAULTS=full. The figures in ARCHITECTURE.md were measured with it.
func manySessions() int { return scale(5_000, 100_000) }

// eachOf calls f for 0 to n-1 from several goroutines and stops at the first error.
func eachOf(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					t.Errorf("session %d: %v", i, err)
					next.Store(int64(n))
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func usedMemory(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	info, err := c.Info(context.Background(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("INFO memory has no used_memory")
	return 0
}

// What a session costs in Redis. The bounds are 1.5 times what was measured, to notice a layout that grows.
func TestMemoryPerSession(t *testing.T) {
	for _, profile := range []struct {
		name          string
		refreshes     int
		rotate        bool
		selfContained bool // access tokens are JWTs
		most          int64
	}{
		{"legacy, just logged in", 0, false, true, 1400},
		{"legacy, three static refreshes", 3, false, true, 1500},
		{"standard, just logged in", 0, true, true, 1400},
		{"standard, three rotations", 3, true, true, 1800},
		{"opaque access tokens, just logged in", 0, true, false, 1400},
		{"opaque access tokens, three rotations", 3, true, false, 1800},
	} {
		t.Run(profile.name, func(t *testing.T) {
			srv := storagetest.StartRedis(t, storagetest.Options{})
			s := newStore(t, standalone(t, srv.Addr)(), storage.Options{})
			ctx := context.Background()
			none := storage.Duration(0)
			c := &storage.Client{ID: "measured", Public: true, Grants: []string{"password"}, Grace: &none}
			if err := s.PutClient(ctx, c); err != nil {
				t.Fatal(err)
			}
			if err := s.Ready(ctx); err != nil {
				t.Fatal(err)
			}
			admin := srv.Client(t)
			before := usedMemory(t, admin)
			n := manySessions()
			eachOf(t, n, func(i int) error {
				subject := fmt.Sprintf("user-%06d@example.com", i)
				id := storage.NewSessionID(subject)
				sig := func(kind string, n int) string { return storage.Signature(id, fmt.Sprint(kind, n)) }
				req := sessionRequest(id, subject, c, 24*time.Hour, 30*24*time.Hour)
				now := time.Now().Unix()
				req.Session = &compact{
					Subject: subject, Access: now + 86_400, Refresh: now + 30*86_400, LoggedIn: now, selfContained: profile.selfContained,
				}
				if err := login(ctx, s, sig("a", 0), sig("r", 0), req); err != nil {
					return err
				}
				for k := range profile.refreshes {
					presented, next := sig("r", 0), ""
					if profile.rotate {
						presented, next = sig("r", k), sig("r", k+1)
					}
					if _, err := s.RefreshSession(ctx, presented, sig("a", k+1), next, nil, req); err != nil {
						return err
					}
				}
				return nil
			})
			each := (usedMemory(t, admin) - before) / int64(n)
			t.Logf("%d bytes a session at %d sessions (used_memory)", each, n)
			if each > profile.most {
				t.Errorf("%d bytes a session, want at most %d", each, profile.most)
			}
		})
	}
}

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
	eachOf(t, manySessions(), func(i int) error {
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
		t.Errorf("%d keys are left of %d expired sessions, such as %q", len(left), manySessions(), left[:min(5, len(left))])
	}
	lasting := 0
	for _, key := range r.Keys(t) {
		if ttl := srv.Client(t).PTTL(ctx, key).Val(); ttl < 0 {
			lasting++
		}
	}
	t.Logf("%d sessions expired, %d keys of sessions left, %d keys without expiry (registries)", manySessions(), len(left), lasting)
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
