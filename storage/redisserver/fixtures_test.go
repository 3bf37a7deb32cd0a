package redisserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// connect returns a client as the server makes it, which sends a command again when the reply was lost.
func connect(t *testing.T, addrs ...string) redis.UniversalClient {
	t.Helper()
	c := storage.Connect(redis.UniversalOptions{Addrs: addrs, DialTimeout: hang, ReadTimeout: hang, PoolTimeout: hang})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hang is a time-out that exists to fail a test that hangs. What these tests judge is counted.
const hang = 30 * time.Second

func newStore(t *testing.T, client redis.UniversalClient) *storage.Store {
	t.Helper()
	s, err := storage.New(client, storage.Options{
		Timeout: hang, Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// replicas returns three stores with a client each, as three servers on one Redis have them.
func replicas(t *testing.T, addr string) []*storage.Store {
	t.Helper()
	return []*storage.Store{newStore(t, connect(t, addr)), newStore(t, connect(t, addr)), newStore(t, connect(t, addr))}
}

func put(t *testing.T, s *storage.Store, c *storage.Client) {
	t.Helper()
	if err := s.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// request is the request of a login whose tokens expire after an hour.
func request(id, subject string, client fosite.Client) *fosite.Request {
	session := &storagetest.Session{Subject: subject}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	return &fosite.Request{ID: id, Client: client, Session: session, GrantedScope: fosite.Arguments{"read"}, RequestedAt: time.Now()}
}

// login stores the two tokens of a login as the token endpoint does, in one transaction.
func login(ctx context.Context, s *storage.Store, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := s.CreateAccessTokenSession(ctx, access, req); err != nil {
		return err
	}
	if err := s.CreateRefreshTokenSession(ctx, refresh, access, req); err != nil {
		return err
	}
	return s.Commit(ctx)
}

// refresh makes the calls of the token endpoint for one refresh. With next empty the refresh token stays.
func refresh(ctx context.Context, s *storage.Store, presented, access, next string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if _, err := s.GetClient(ctx, req.GetClient().GetID()); err != nil {
		return err
	}
	if _, err := s.GetRefreshTokenSession(ctx, presented, &storagetest.Session{}); err != nil {
		return err
	}
	if _, err := s.RefreshSession(ctx, presented, access, next, []byte("answer"), req); err != nil {
		return err
	}
	return s.Commit(ctx)
}
