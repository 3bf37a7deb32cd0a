package faults_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// prepared starts a server. It returns an engine on it and a client to cause faults with.
func prepared(t *testing.T, strict bool, o storagetest.Options) (*storagetest.Server, *engine, *redis.Client) {
	t.Helper()
	srv := storagetest.StartRedis(t, o)
	if strict {
		e := newEngine(strict, directly(t, 2, storage.Options{}, once(t, srv.Addr))...)
		e.register(t, srv.Addr)
		return srv, e, srv.Client(t)
	}
	// A client that sends a command again may have executed it twice. The checker must know which commands these are.
	var scripts sent
	stores, _ := servers(t, srv.Addr, 2, storagetest.Faults{Match: scripts.match}, standalone)
	e := newEngine(strict, stores...)
	e.sentAgain = scripts.again
	e.register(t, srv.Addr)
	return srv, e, srv.Client(t)
}

func TestFaultKillNine(t *testing.T) {
	for _, aof := range []storagetest.AOF{storagetest.AOFAlways, storagetest.AOFEverySec} {
		t.Run(string(aof), func(t *testing.T) {
			bothWays(t, func(t *testing.T, strict bool) {
				srv, first, _ := prepared(t, strict, storagetest.Options{AOF: aof})
				for range scale(2, 20) {
					e := newEngine(strict, first.stores...)
					e.sentAgain, e.users = first.sentAgain, first.users
					e.under(t, fault{
						inject: srv.Kill, heal: func() { srv.Restart(t) },
						lasts: 300 * time.Millisecond, recoverWithin: 5 * time.Second,
					})
				}
			})
		})
	}
}

func TestFaultFrozen(t *testing.T) {
	for _, silence := range scale([]int{1, 3, 10}, []int{1, 3, 10, 30} /* with 30s a grace of a minute is not exceeded */) {
		t.Run(fmt.Sprint(silence, "s"), func(t *testing.T) {
			bothWays(t, func(t *testing.T, strict bool) {
				srv, e, _ := prepared(t, strict, storagetest.Options{})
				e.under(t, fault{
					inject: func() { srv.Freeze(t) }, heal: func() { srv.Thaw(t) },
					lasts: time.Duration(silence) * time.Second, recoverWithin: 5 * time.Second,
				})
			})
		})
	}
}

// repeat calls what until the returned function is called.
func repeat(every time.Duration, what func()) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(every):
				what()
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

func TestFaultRepeated(t *testing.T) {
	ctx := context.Background()
	for name, what := range map[string]func(c *redis.Client){
		"CLIENT KILL storm": func(c *redis.Client) { c.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") },
		"SCRIPT FLUSH":      func(c *redis.Client) { c.ScriptFlush(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, strict bool) {
				_, e, admin := prepared(t, strict, storagetest.Options{})
				var stop func()
				e.under(t, fault{
					inject: func() { stop = repeat(50*time.Millisecond, func() { what(admin) }) }, heal: func() { stop() },
					lasts: scale(2*time.Second, 20*time.Second), recoverWithin: 5 * time.Second,
				})
				// Without a grace, a second use of a token is unavailable while the first one is being decided.
				if name == "SCRIPT FLUSH" && !strict && e.unknowns.Load() > 0 {
					t.Errorf("%d calls were answered as unavailable, but a script that was flushed can be sent again", e.unknowns.Load())
				}
			})
		})
	}
}

func TestFaultOutOfMemory(t *testing.T) {
	bothWays(t, func(t *testing.T, strict bool) {
		ctx := context.Background()
		_, e, admin := prepared(t, strict, storagetest.Options{Config: []string{"maxmemory-policy noeviction"}})
		e.under(t, fault{
			inject: func() { admin.ConfigSet(ctx, "maxmemory", "1mb") },
			heal:   func() { admin.ConfigSet(ctx, "maxmemory", "0") },
			lasts:  scale(time.Second, 5*time.Second), recoverWithin: 5 * time.Second,
		})
		if e.unknowns.Load() == 0 {
			t.Error("every call was answered: memory was never full")
		}
	})
}

func TestFaultReadOnlyReplica(t *testing.T) {
	for name, stale := range map[string]string{"serving stale data": "yes", "refusing reads": "no"} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, strict bool) {
				ctx := context.Background()
				_, e, admin := prepared(t, strict, storagetest.Options{Config: []string{"replica-serve-stale-data " + stale}})
				e.under(t, fault{
					inject: func() { admin.Do(ctx, "REPLICAOF", "127.0.0.1", "1") },
					heal:   func() { admin.Do(ctx, "REPLICAOF", "NO", "ONE") },
					lasts:  scale(time.Second, 5*time.Second), recoverWithin: 5 * time.Second,
				})
				if e.unknowns.Load() == 0 {
					t.Error("every call was answered: the server was never read-only")
				}
			})
		})
	}
}

// An emptied Redis must not refuse tokens: clients would discard them.
func TestFaultEmptied(t *testing.T) {
	for name, empty := range map[string]func(t *testing.T, srv *storagetest.Server){
		"FLUSHALL":                    func(t *testing.T, srv *storagetest.Server) { srv.Client(t).FlushAll(context.Background()) },
		"kill -9 without persistence": func(t *testing.T, srv *storagetest.Server) { srv.Kill(); srv.Restart(t) },
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, strict bool) { emptied(t, strict, empty) })
		})
	}
}

func emptied(t *testing.T, strict bool, empty func(t *testing.T, srv *storagetest.Server)) {
	t.Helper()
	ctx := context.Background()
	srv, e, _ := prepared(t, strict, storagetest.Options{})
	first := e.stores[0].(*storage.Store)
	id := storage.NewSessionID("alice")
	access, refresh := storage.Signature(id, "a"), storage.Signature(id, "r")
	req := sessionRequest(id, "alice", e.client, time.Hour, time.Hour)
	if err := login(ctx, first, access, refresh, req); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.stores { // both have seen that Redis had data
		if err := s.(*storage.Store).Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	e.under(t, fault{inject: func() { empty(t, srv) }, heal: func() {}, lasts: 500 * time.Millisecond})
	for name, ask := range map[string]func() error{
		"access token":  func() error { _, err := first.GetAccessTokenSession(ctx, access, nil); return err },
		"refresh token": func() error { _, err := first.GetRefreshTokenSession(ctx, refresh, nil); return err },
		"refresh": func() error {
			_, err := first.RefreshSession(ctx, refresh, storage.Signature(id, "a2"), storage.Signature(id, "r2"), nil, req)
			return err
		},
		"client":    func() error { _, err := first.GetClient(ctx, "someone"); return err },
		"password":  func() error { _, err := first.Authenticate(ctx, "alice", "secret"); return err },
		"readiness": func() error { return first.Ready(ctx) },
	} {
		if err := ask(); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%s of an emptied Redis: %v, want ErrTemporarilyUnavailable", name, err)
		}
	}
}
