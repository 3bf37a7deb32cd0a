package redisserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

var keys = redisdb.Keys{Prefix: "opgrant:"}

// cacheTTL is long enough for what a test does between two reads of Redis, and short enough to wait for.
const cacheTTL = 50 * time.Millisecond

// traffic is what requests of one client make of a store.
type traffic struct {
	store  *storage.Store
	client *storage.Client
	id     string // of a session
	number int    // of its refresh token
}

func (f *traffic) signature(kind string) string {
	return storage.Signature(f.id, fmt.Sprint(kind, f.number))
}

func (f *traffic) open(ctx context.Context) error {
	user, err := f.store.Users.VerifyPassword(ctx, "alice", "one", "192.0.2.1")
	if err != nil {
		return fmt.Errorf("password: %w", err)
	}
	client, err := f.store.Client(ctx, f.client.ID)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	f.id, f.number = storage.NewSessionID(user.Name), 0
	return login(ctx, f.store, f.signature("a"), f.signature("r"), request(f.id, user.Name, client))
}

func (f *traffic) introspect(ctx context.Context) error {
	_, err := f.store.GetAccessTokenSession(ctx, f.signature("a"), &storagetest.Session{})
	return err
}

func (f *traffic) refresh(ctx context.Context) error {
	before := f.signature("r")
	f.number++
	err := refresh(ctx, f.store, before, f.signature("a"), f.signature("r"), request(f.id, "alice", f.client))
	if err != nil {
		f.number--
	}
	return err
}

// all is a login with its session, and what follows it.
func (f *traffic) all(ctx context.Context) error {
	for name, call := range map[string]func(context.Context) error{"introspection": f.introspect, "refresh": f.refresh, "login": f.open} {
		if err := call(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return f.introspect(ctx)
}

func startTraffic(t *testing.T, s *storage.Store) *traffic {
	t.Helper()
	f := &traffic{store: s, client: &storage.Client{ID: "web", Public: true, Grants: []string{"password", "refresh_token"}}}
	put(t, s, f.client)
	if err := s.Users.AddUser(t.Context(), storage.User{Name: "alice", Active: true}, "one"); err != nil {
		t.Fatal(err)
	}
	if err := f.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func unavailable(err error) bool {
	return errors.Is(err, fosite.ErrTemporarilyUnavailable) && !errors.Is(err, fosite.ErrNotFound)
}

// While the node with the record of a client is silent, its requests are served by what was read last, and a process that has not
// read it knows nothing. When the node answers, nothing but its answer counts.
func TestClientsOutliveTheirNode(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := startShards(t, keys.Client("web"))
	s, other := r.store(t, cacheTTL, time.Hour), r.store(t, cacheTTL, time.Hour)
	f := startTraffic(t, s)
	ended := *f
	if err := f.open(ctx); err != nil {
		t.Fatal(err)
	}

	r.servers[0].Freeze(t)
	for range 2 {
		time.Sleep(cacheTTL) // so that Redis is asked
		if err := f.all(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Client(ctx, "web"); !unavailable(err) {
		t.Errorf("a process that does not know the client: %v, want unavailable", err)
	}
	if err := s.PutClient(ctx, f.client); !unavailable(err) {
		t.Errorf("a change of the client: %v, want unavailable", err)
	}
	if _, err := s.Client(ctx, "web"); !unavailable(err) {
		t.Errorf("after a change that may have happened: %v, want unavailable", err)
	}
	r.servers[0].Thaw(t)
	if err := f.all(ctx); err != nil {
		t.Fatal(err)
	}

	for _, outage := range []bool{false, true} { // a node that was silent meanwhile makes no difference
		if outage {
			r.servers[0].Freeze(t)
			time.Sleep(cacheTTL)
			if err := f.introspect(ctx); err != nil {
				t.Fatal(err)
			}
			r.servers[0].Thaw(t)
		}
		if _, err := other.RevokeClient(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(cacheTTL)
		for _, f := range []*traffic{f, &ended} {
			if err := f.introspect(ctx); !errors.Is(err, fosite.ErrNotFound) || unavailable(err) {
				t.Errorf("after an outage: %v; a session of another generation: %v", outage, err)
			}
		}
		if err := f.open(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.RemoveClient(ctx, "web"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(cacheTTL)
	for range 2 {
		if _, err := s.Client(ctx, "web"); !errors.Is(err, fosite.ErrNotFound) || unavailable(err) {
			t.Errorf("a removed client: %v", err)
		}
		r.servers[0].Freeze(t)
		if _, err := s.Client(ctx, "web"); !unavailable(err) {
			t.Errorf("a removed client whose node is silent: %v", err)
		}
		r.servers[0].Thaw(t)
	}
}

// A session of another generation makes the server read its client again. That must not cost the others what is known of it.
func TestAnEndedSessionDoesNotSpoilAnOutage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := startShards(t, keys.Client("web"))
	s := r.store(t, cacheTTL, time.Hour)
	f := startTraffic(t, s)
	foreign := r.store(t, -1, -1)
	ended := *f
	ended.id = storage.NewSessionID("alice")
	another := *f.client
	another.Generation = "another"
	if err := login(ctx, foreign, ended.signature("a"), ended.signature("r"), request(ended.id, "alice", &another)); err != nil {
		t.Fatal(err)
	}
	if err := ended.introspect(ctx); !errors.Is(err, fosite.ErrNotFound) {
		t.Fatalf("a session of another generation: %v", err)
	}
	r.servers[0].Freeze(t)
	for range 2 {
		if err := ended.introspect(ctx); !unavailable(err) { // its client may have changed
			t.Errorf("a session of another generation: %v, want unavailable", err)
		}
		if err := f.introspect(ctx); err != nil {
			t.Errorf("the others: %v", err)
		}
	}
	r.servers[0].Thaw(t)
}

// After the bound nothing is served from memory.
func TestAClientsOutageIsBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := startShards(t, keys.Client("web"))
	f := startTraffic(t, r.store(t, cacheTTL, 4*time.Second))
	r.servers[0].Freeze(t)
	time.Sleep(cacheTTL)
	if err := f.introspect(ctx); err != nil {
		t.Fatalf("at first: %v", err)
	}
	until(t, "the client is unavailable", func() bool {
		err := f.introspect(ctx)
		if err != nil && !unavailable(err) {
			t.Fatalf("refused: %v", err)
		}
		return err != nil
	})
	if err := f.introspect(ctx); !unavailable(err) {
		t.Errorf("later: %v, want unavailable", err)
	}
	r.servers[0].Thaw(t)
	until(t, "the client is there again", func() bool { return f.all(ctx) == nil })
}

// While the node of the epoch is silent the others are written to. What they do not hold is not known to be missing.
func TestWritesOutliveTheNodeOfTheEpoch(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := startShards(t, keys.Epoch())
	s := r.store(t, cacheTTL, time.Hour)
	f, revoked := startTraffic(t, s), &traffic{store: s, client: &storage.Client{ID: "web"}}
	if err := revoked.open(ctx); err != nil {
		t.Fatal(err)
	}
	r.servers[0].Freeze(t)
	for range 2 {
		time.Sleep(cacheTTL)
		if err := f.all(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RevokeSession(ctx, revoked.id); err != nil {
		t.Errorf("a revocation: %v", err)
	}
	if err := revoked.introspect(ctx); !unavailable(err) {
		t.Errorf("a session that is not there: %v, want unavailable", err)
	}
	if _, err := s.Client(ctx, "unknown"); !unavailable(err) {
		t.Errorf("a client that is not there: %v, want unavailable", err)
	}
	if err := f.open(ctx); err != nil {
		t.Error(err)
	}
	r.servers[0].Thaw(t)
	if err := revoked.introspect(ctx); !errors.Is(err, fosite.ErrNotFound) || unavailable(err) {
		t.Errorf("a revoked session: %v", err)
	}

	// A node that answers otherwise ends it, for good.
	r.servers[0].Freeze(t)
	if err := f.refresh(ctx); err != nil {
		t.Fatal(err)
	}
	r.servers[0].Kill()
	r.servers[0].Restart(t) // empty
	until(t, "the loss is noticed", func() bool {
		err := f.refresh(ctx)
		if err != nil && !unavailable(err) {
			t.Fatalf("refused: %v", err)
		}
		return errors.Is(err, storage.ErrLost)
	})
	if err := f.refresh(ctx); !errors.Is(err, storage.ErrLost) {
		t.Errorf("after a loss: %v", err)
	}
	r.servers[0].Freeze(t)
	if err := f.refresh(ctx); !unavailable(err) {
		t.Errorf("after a loss, while the node is silent: %v, want unavailable", err)
	}
	if _, err := s.Client(ctx, "web"); !unavailable(err) {
		t.Errorf("a client after a loss: %v, want unavailable", err)
	}
}

// After the bound every change is unavailable, until the node is back.
func TestAnOutageOfTheEpochIsBounded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := startShards(t, keys.Epoch())
	f := startTraffic(t, r.store(t, time.Hour, 4*time.Second))
	r.servers[0].Freeze(t)
	if err := f.refresh(ctx); err != nil {
		t.Fatalf("at first: %v", err)
	}
	until(t, "changes are unavailable", func() bool {
		err := f.refresh(ctx)
		if err != nil && !unavailable(err) {
			t.Fatalf("refused: %v", err)
		}
		return err != nil
	})
	if err := f.open(ctx); !unavailable(err) {
		t.Errorf("a login: %v, want unavailable", err)
	}
	r.servers[0].Thaw(t)
	until(t, "changes are made again", func() bool { return f.all(ctx) == nil })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", hang, what)
}
