package storagetest

import (
	"context"
	"fmt"
	"os"
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

// Redis runs test on every Redis there is, one sub-test each: on miniredis always, and on a private
// redis-server where one is installed. With RequireEnv set a missing redis-server is a failure. The
// first call of a process says on standard output which servers it uses.
func Redis(t *testing.T, test func(t *testing.T, r *Instance)) {
	t.Helper()
	installed := Installed(t)
	announce(installed)
	t.Run("miniredis", func(t *testing.T) { test(t, StartMiniredis(t)) })
	if !installed {
		t.Log("redis-server is not installed: miniredis alone")
		return
	}
	t.Run("redis-server", func(t *testing.T) {
		test(t, StartInstance(t))
	})
}

var announced sync.Once

func announce(installed bool) {
	announced.Do(func() {
		if installed {
			fmt.Fprintln(os.Stdout, "redis in use: miniredis and a private redis-server")
		} else {
			fmt.Fprintln(os.Stdout, "redis in use: miniredis alone, redis-server is not installed")
		}
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

// StartInstance starts a private redis-server without persistence.
func StartInstance(t testing.TB) *Instance {
	t.Helper()
	s := StartRedis(t, Options{})
	return &Instance{Kind: "redis-server", Addr: s.Addr, Server: s}
}

// Client returns a client of the instance that is closed when the test ends.
func (r *Instance) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Advance lets time pass for everything that expires: miniredis is told so, a real server is waited for.
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
