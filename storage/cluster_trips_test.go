package storage_test

import (
	"context"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// What a request costs: introspection one round trip, a refresh two, a login three at most, once scripts are loaded and
// the client is cached.
func TestRoundTrips(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		countTrips(t, standalone(t, storagetest.StartRedis(t, storagetest.Options{}).Addr)())
	})
	t.Run("cluster", func(t *testing.T) {
		needs(t, effortShort)
		t.Parallel()
		countTrips(t, connect(t, redis.UniversalOptions{Addrs: storagetest.StartCluster(t, storagetest.Options{}).Addrs()})())
	})
}

func countTrips(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	var trips storagetest.Trips
	client.AddHook(&trips)
	s := newStore(t, client, storage.Options{})
	ctx := context.Background()
	c := &storage.Client{ID: "engine", Public: true, Grants: []string{"password", "refresh_token"}}
	if err := s.PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "secret"); err != nil {
		t.Fatal(err)
	}
	id := storage.NewSessionID("alice")
	req := sessionRequest(id, "alice", c, time.Hour, time.Hour)
	sig := func(name string) string { return storage.Signature(id, name) }

	steps := []struct {
		name string
		most int
		do   func(round string) error
	}{
		{"login", 3, func(round string) error {
			if _, err := s.GetClient(ctx, c.ID); err != nil {
				return err
			}
			if _, err := s.Authenticate(ctx, "alice", "secret"); err != nil {
				return err
			}
			return login(ctx, s, sig("a"+round), sig("r"+round), req)
		}},
		{"introspection", 1, func(round string) error {
			_, err := s.GetAccessTokenSession(ctx, sig("a"+round), &compact{})
			return err
		}},
		{"static refresh", 2, func(round string) error { return refreshOnce(ctx, s, sig("r"+round), sig("b"+round), "", req) }},
		{"rotating refresh", 2, func(round string) error {
			return refreshOnce(ctx, s, sig("r"+round), sig("c"+round), sig("s"+round), req)
		}},
		{"replayed refresh", 2, func(round string) error {
			return refreshOnce(ctx, s, sig("r"+round), sig("d"+round), sig("t"+round), req)
		}},
		{"revocation of the session", 1, func(string) error { return s.RevokeSession(ctx, id) }},
	}
	for _, round := range []string{"cold", "warm"} {
		for _, step := range steps {
			trips.Take()
			if err := step.do(round); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			count, commands := trips.Take()
			t.Logf("%s %s: %d %v", round, step.name, count, commands)
			if round == "warm" && count > step.most {
				t.Errorf("%s takes %d round trips %v, want at most %d", step.name, count, commands, step.most)
			}
		}
	}
}

// refreshOnce does what the token endpoint does with the store.
func refreshOnce(ctx context.Context, s *storage.Store, presented, access, refresh string, req fosite.Requester) error {
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if _, err := s.GetClient(ctx, req.GetClient().GetID()); err != nil {
		return err
	}
	if _, err := s.GetRefreshTokenSession(ctx, presented, &compact{}); err != nil {
		return err
	}
	if _, err := s.RefreshSession(ctx, presented, access, refresh, []byte("answer"), req); err != nil {
		return err
	}
	return s.Commit(ctx)
}
