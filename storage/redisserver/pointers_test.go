package redisserver_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// pointerFixture is a store on a Cluster with a login by stock fosite, and what makes its pointers fail.
func pointerFixture(t *testing.T) (w *fixture, fails func(op func() error) error) {
	t.Helper()
	r := startShards(t, keys.Sessions(redisdb.SubjectTag("alice")))
	for _, server := range r.servers { // or an attempt that fails is the first to name them
		for _, script := range redisdb.Scripts() {
			if err := server.Client(t).ScriptLoad(t.Context(), script.Source()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{r.servers[0].Addr}, ContextTimeoutEnabled: true, DisableIdentity: true, MaxRedirects: -1,
		DialTimeout: hang, ReadTimeout: hang, PoolTimeout: hang, ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return r.slots, nil },
	})
	t.Cleanup(func() { _ = client.Close() })
	hook := &denier{used: map[*redisdb.Script]bool{}}
	client.AddHook(hook)
	all := redisdb.Scripts()
	pointer := target{script: all[slices.IndexFunc(all, isPointer)], call: 1}
	w = &fixture{
		t: t, ctx: t.Context(), store: newStore(t, client),
		tokens: map[string]string{}, ids: map[string]string{}, answers: map[string][2]string{},
	}
	w.put(web)
	return w, func(op func() error) error {
		hook.arm(pointer)
		err := op()
		if len(hook.disarm()) == 0 {
			t.Error("no pointer has failed")
		}
		return err
	}
}

// Where the node of a pointer is away and that of the session is there, the store is unavailable. A client that then refreshes again
// gets the tokens of the first attempt, and they are good; a login is another one; a code has been used.
func TestPointersThatCannotBeWritten(t *testing.T) {
	t.Run("refresh", func(t *testing.T) {
		t.Parallel()
		w, fails := pointerFixture(t)
		w.must(w.enter(foreign, "1", "alice", web, time.Hour))
		refresh := func() error { return w.refresh(foreign, "1", "2", 2, web) }
		if err := fails(refresh); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("without pointers: %v, want unavailable", err)
		}
		first := w.tokens["r2"]
		if err := refresh(); err != nil || w.tokens["r2"] != first {
			t.Errorf("again: %q, %v; want the answer to the first attempt, with %q", w.tokens["r2"], err, first)
		}
		for _, name := range []string{"a2", "r2"} {
			state := w.token(w.store, name, w.tokens[name])
			for end := time.Now().Add(hang); state != "good" && time.Now().Before(end); state = w.token(w.store, name, w.tokens[name]) {
				time.Sleep(20 * time.Millisecond)
			}
			if state != "good" {
				t.Errorf("token %s: %s", name, state)
			}
		}
	})
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		w, fails := pointerFixture(t)
		again := func() error { return w.enter(foreign, "1", "alice", web, time.Hour) }
		if err := fails(again); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("without pointers: %v, want unavailable", err)
		}
		w.must(again())
		if state := w.token(w.store, "a1", w.tokens["a1"]); state != "good" {
			t.Errorf("the second login: %s", state)
		}
	})
	t.Run("code", func(t *testing.T) {
		t.Parallel()
		w, fails := pointerFixture(t)
		signature, req := w.code(foreign)
		w.must(w.store.CreateAuthorizeCodeSession(w.ctx, signature, req))
		redeem := func() error { return redeemCode(foreign)(w) }
		if err := fails(redeem); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("without pointers: %v, want unavailable", err)
		}
		if err := redeem(); !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
			t.Errorf("again: %v", err)
		}
	})
	t.Run("storing a code", func(t *testing.T) {
		t.Parallel()
		w, fails := pointerFixture(t)
		signature, req := w.code(foreign)
		store := func() error { return w.store.CreateAuthorizeCodeSession(w.ctx, signature, req) }
		if err := fails(store); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("without pointers: %v, want unavailable", err)
		}
		w.must(store())
		if _, err := w.store.GetAuthorizeCodeSession(w.ctx, signature, &storagetest.Session{}); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}
