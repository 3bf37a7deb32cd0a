package storagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Instance is an empty Redis that belongs to one test: miniredis in this process, or a private
// redis-server.
type Instance struct {
	Kind   string // "miniredis" or "redis-server"
	Addr   string
	Server *Server              // nil for miniredis
	Mini   *miniredis.Miniredis // nil for redis-server

	mu     sync.Mutex
	offset time.Duration
}

// Redis runs test as two sub-tests: on miniredis, and on a private redis-server. The second one is skipped with -short, and
// where redis-server is not installed. With RequireEnv set a missing redis-server is a failure.
func Redis(t *testing.T, test func(t *testing.T, r *Instance)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { test(t, StartMiniredis(t)) })
	t.Run("redis-server", func(t *testing.T) {
		if testing.Short() {
			t.Skip("left out with -short")
		}
		test(t, StartInstance(t))
	})
}

// StartMiniredis starts the in-process fake.
func StartMiniredis(t testing.TB) *Instance {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatalf("miniredis: %v", err)
	}
	t.Cleanup(m.Close)
	return &Instance{Kind: "miniredis", Addr: m.Addr(), Mini: m}
}

// StartInstance returns a private redis-server without persistence. It may serve another test afterwards: a test that changes
// the server's configuration needs StartRedis.
func StartInstance(t testing.TB) *Instance {
	t.Helper()
	requireInstalled(t)
	s := shared.take(t)
	return &Instance{Kind: "redis-server", Addr: s.Addr, Server: s}
}

// Client returns a client of the instance, without retries. It is closed when the test ends.
func (r *Instance) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: r.Addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, PoolTimeout: 30 * time.Second, // a busy machine is not a fault
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Advance lets time pass for everything that expires: it moves the clock of miniredis, and sleeps for a redis-server.
func (r *Instance) Advance(d time.Duration) {
	if r.Mini == nil {
		time.Sleep(d)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset += d
	r.Mini.SetTime(time.Now().Add(r.offset))
	r.Mini.FastForward(d)
}

// Break makes the instance unreachable until heal is called: miniredis refuses every command with an
// error, redis-server is frozen so that nothing answers at all.
func (r *Instance) Break(t testing.TB) (heal func()) {
	t.Helper()
	if r.Mini != nil {
		r.Mini.SetError("LOADING Redis is loading the dataset in memory")
		return func() { r.Mini.SetError("") }
	}
	r.Server.Freeze(t)
	return func() { r.Server.Thaw(t) }
}

// Keys lists every key that the instance holds.
func (r *Instance) Keys(t testing.TB) []string {
	t.Helper()
	keys, err := r.Client(t).Keys(context.Background(), "*").Result()
	if err != nil {
		t.Fatalf("list keys: %v", err)
	}
	return keys
}
