package storage

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// panicking is a hook that panics the first time that only an answer is touched, which a confirmation does.
type panicking struct{ panics, after atomic.Int64 }

func (p *panicking) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (p *panicking) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *panicking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		args := cmds[0].Args()
		if key, ok := args[min(3, len(args)-1)].(string); ok && strings.HasPrefix(key, "opgrant:a:") {
			if p.panics.Add(1) == 1 {
				panic("a hook of the Redis client")
			}
			defer p.after.Add(1)
		}
		return next(ctx, cmds)
	}
}

// A panic while refreshes are confirmed in the background ends neither the process nor the confirmations.
func TestAPanicWhileARefreshIsConfirmedEndsNothing(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	rdb, hook := r.Client(t), &panicking{}
	rdb.AddHook(hook)
	s, err := New(rdb, Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{ID: "app", Public: true, Grants: []string{"password"}}
	if err := s.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	id := NewSessionID("alice")
	session := &storagetest.Session{Subject: "alice"}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	req := &fosite.Request{ID: id, Client: c, Session: session}
	if err := s.CreateRefreshTokenSession(t.Context(), Signature(id, "r1"), "", req); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RefreshSession(t.Context(), Signature(id, "r1"), Signature(id, "a2"), Signature(id, "r2"), []byte("answer"), req); err != nil {
		t.Fatal(err)
	}
	for hook.after.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
}
