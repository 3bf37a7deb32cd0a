package faults_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// behindProxy returns a store behind a proxy, with n users logged in.
func behindProxy(t *testing.T, n int, o redis.UniversalOptions) (*storage.Store, *storagetest.Proxy, []string) {
	t.Helper()
	srv := storagetest.StartRedis(t, storagetest.Options{})
	p := storagetest.StartProxy(t, srv.Addr)
	o.Addrs = []string{p.Addr}
	s := newStore(t, connect(t, o)(), storage.Options{})
	ctx := context.Background()
	c := &storage.Client{ID: "slow", Public: true, Grants: []string{"password"}}
	if err := s.PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i := range ids {
		subject := fmt.Sprint("user", i)
		ids[i] = storage.NewSessionID(subject)
		req := sessionRequest(ids[i], subject, c, time.Hour, time.Hour)
		if err := login(ctx, s, storage.Signature(ids[i], "a"), storage.Signature(ids[i], "r"), req); err != nil {
			t.Fatal(err)
		}
	}
	return s, p, ids
}

// A reply that arrives when the client has just given up must not be taken for the reply to the next command, which may return
// another user's session (CVE-2025-29923 in go-redis).
func TestLateRepliesAreNotMixedUp(t *testing.T) {
	s, p, ids := behindProxy(t, 20, redis.UniversalOptions{ReadTimeout: 60 * time.Millisecond, MaxRetries: -1})
	p.Set(storagetest.Faults{Delay: 70 * time.Millisecond})
	var late, good atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(scale(5*time.Second, 60*time.Second))
	for i, id := range ids {
		all.Go(func() {
			for time.Now().Before(end) {
				req, err := s.GetAccessTokenSession(context.Background(), storage.Signature(id, "a"), &compact{})
				switch {
				case errors.Is(err, fosite.ErrTemporarilyUnavailable):
					late.Add(1)
					time.Sleep(30 * time.Millisecond) // otherwise the circuit breaker opens, and nothing is sent any more
				case err != nil:
					t.Errorf("user%d: %v", i, err)
				case req.GetSession().GetSubject() != fmt.Sprint("user", i):
					t.Errorf("user%d got the session of %s", i, req.GetSession().GetSubject())
				default:
					good.Add(1)
				}
			}
		})
	}
	all.Wait()
	if late.Load() == 0 || good.Load() == 0 {
		t.Errorf("%d replies late, %d in time: the test shows nothing", late.Load(), good.Load())
	}
	t.Logf("%d replies in time, %d too late", good.Load(), late.Load())
}

// More callers than a slow Redis can serve get an error in time, and leave no queue behind.
func TestMoreCallersThanConnections(t *testing.T) {
	s, p, ids := behindProxy(t, 1, redis.UniversalOptions{PoolSize: 5, MaxActiveConns: 5})
	if _, err := s.GetAccessTokenSession(context.Background(), storage.Signature(ids[0], "a"), &compact{}); err != nil {
		t.Fatal(err) // the client is cached now, and a look-up is one operation
	}
	p.Set(storagetest.Faults{Delay: 200 * time.Millisecond})
	var slowest, shed atomic.Int64
	lag := measureLag()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			start := time.Now()
			_, err := s.GetAccessTokenSession(context.Background(), storage.Signature(ids[0], "a"), &compact{})
			took := time.Since(start).Nanoseconds()
			for was := slowest.Load(); took > was && !slowest.CompareAndSwap(was, took); was = slowest.Load() {
			}
			if errors.Is(err, fosite.ErrTemporarilyUnavailable) {
				shed.Add(1)
			} else if err != nil {
				t.Errorf("a refusal under load: %v", err)
			}
		})
	}
	all.Wait()
	wantInTime(t, time.Duration(slowest.Load()), lag())
	if shed.Load() == 0 {
		t.Error("every call succeeded: the test shows nothing")
	}
	p.Set(storagetest.Faults{})
	start := time.Now()
	for time.Since(start) < 5*time.Second {
		if _, err := s.GetAccessTokenSession(context.Background(), storage.Signature(ids[0], "a"), &compact{}); err == nil {
			t.Logf("%d of 200 failed, slowest call %v, recovered after %v", shed.Load(), time.Duration(slowest.Load()), time.Since(start))
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not recovered within 5s")
}
