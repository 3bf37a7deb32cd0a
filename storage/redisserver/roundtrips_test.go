package redisserver_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// What a request costs once scripts are loaded and the client is cached: introspection one round trip, a refresh two (three
// without a grace), a login three at most.
func TestRoundTrips(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		countRoundTrips(t, connect(t, storagetest.StartInstance(t).Addr))
	})
	t.Run("cluster", func(t *testing.T) {
		if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
			t.Skip("set OPGRANT_TEST_FAULTS=short or full")
		}
		t.Parallel()
		countRoundTrips(t, connect(t, storagetest.StartCluster(t, storagetest.Options{}).Addrs()...))
	})
}

func countRoundTrips(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	var trips storagetest.Trips
	ctx := trips.Within(t.Context())
	client.AddHook(&trips)
	s := newStore(t, client)
	c := &storage.Client{ID: "counted", Public: true, Grants: []string{"password", "refresh_token"}}
	put(t, s, c)
	if err := s.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "secret"); err != nil {
		t.Fatal(err)
	}
	id := storage.NewSessionID("alice")
	req := request(id, "alice", c)
	none := storage.Duration(0)
	strictly := request(id, "alice", &storage.Client{ID: "counted", Public: true, Grants: c.Grants, Grace: &none})
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
			_, err := s.GetAccessTokenSession(ctx, sig("a"+round), &storagetest.Session{})
			return err
		}},
		{"static refresh", 2, func(round string) error { return refresh(ctx, s, sig("r"+round), sig("b"+round), "", req) }},
		{"rotating refresh", 2, func(round string) error {
			return refresh(ctx, s, sig("r"+round), sig("c"+round), sig("s"+round), req)
		}},
		{"replayed refresh", 2, func(round string) error {
			return refresh(ctx, s, sig("r"+round), sig("d"+round), sig("t"+round), req)
		}},
		{"rotating refresh without a grace", 3, func(round string) error {
			return refresh(ctx, s, sig("s"+round), sig("e"+round), sig("u"+round), strictly)
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
