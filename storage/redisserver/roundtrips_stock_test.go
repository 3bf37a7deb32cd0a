package redisserver_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// What fosite's handlers ask of the store for one request costs at most one round trip more with the IDs and signatures of stock
// fosite than with those of package storage, for a process that has not seen the token before.
func TestRoundTripsOfStockSignatures(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		addr := storagetest.StartInstance(t).Addr
		compareRoundTrips(t, func() redis.UniversalClient { return connect(t, addr) })
	})
	t.Run("cluster", func(t *testing.T) {
		if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
			t.Skip("set OPGRANT_TEST_FAULTS=short or full")
		}
		t.Parallel()
		addrs := storagetest.StartCluster(t, storagetest.Options{}).Addrs()
		compareRoundTrips(t, func() redis.UniversalClient { return connect(t, addrs...) })
	})
}

// kind makes the IDs and signatures of one kind of server.
type kind struct {
	id  func() string
	sig func(id, name string) string
}

func compareRoundTrips(t *testing.T, connect func() redis.UniversalClient) {
	t.Helper()
	own := kind{func() string { return storage.NewSessionID("alice") }, storage.Signature}
	n := 0
	stock := kind{
		func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) },
		func(id, name string) string { return fmt.Sprintf("%s-of-%s", name, id) },
	}
	client := &storage.Client{ID: "counted", Public: true, Grants: []string{"password", "refresh_token"}}
	put(t, newStore(t, connect()), client)
	for _, flow := range []struct {
		name string
		ours int
		do   func(ctx context.Context, s *storage.Store, k kind, id string) error
	}{
		{"login", 2, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			return openOneByOne(ctx, s, k, k.id(), client)
		}},
		{"login in a transaction", 1, func(ctx context.Context, s *storage.Store, k kind, _ string) error {
			id := k.id()
			return login(ctx, s, k.sig(id, "a"), k.sig(id, "r"), request(id, "alice", client))
		}},
		{"refresh", 2, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			req, err := s.GetRefreshTokenSession(ctx, k.sig(id, "r"), &storagetest.Session{})
			if err != nil {
				return err
			}
			tx, err := s.BeginTX(ctx)
			if err == nil {
				err = s.RotateRefreshToken(tx, id, k.sig(id, "r"))
			}
			if err == nil {
				err = s.CreateAccessTokenSession(tx, k.sig(id, "a2"), req)
			}
			if err == nil {
				err = s.CreateRefreshTokenSession(tx, k.sig(id, "r2"), "", req)
			}
			if err == nil {
				err = s.Commit(tx)
			}
			return err
		}},
		{"introspection of an access token", 1, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			_, err := s.GetAccessTokenSession(ctx, k.sig(id, "a"), &storagetest.Session{})
			return err
		}},
		{"introspection of a refresh token", 2, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			_, _ = s.GetAccessTokenSession(ctx, k.sig(id, "r"), &storagetest.Session{})
			_, err := s.GetRefreshTokenSession(ctx, k.sig(id, "r"), &storagetest.Session{})
			return err
		}},
		{"revocation of a refresh token", 3, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			_, err := s.GetRefreshTokenSession(ctx, k.sig(id, "r"), nil)
			return firstError(err, s.RevokeRefreshToken(ctx, id), s.RevokeAccessToken(ctx, id))
		}},
		{"revocation of an access token", 4, func(ctx context.Context, s *storage.Store, k kind, id string) error {
			_, _ = s.GetRefreshTokenSession(ctx, k.sig(id, "a"), nil)
			_, err := s.GetAccessTokenSession(ctx, k.sig(id, "a"), nil)
			return firstError(err, s.RevokeRefreshToken(ctx, id), s.RevokeAccessToken(ctx, id))
		}},
	} {
		count := func(k kind) int {
			var trips storagetest.Trips
			ctx := trips.Within(t.Context())
			id := k.id()
			if err := openOneByOne(ctx, newStore(t, connect()), k, id, client); err != nil {
				t.Fatal(err)
			}
			rdb := connect()
			rdb.AddHook(&trips)
			s := newStore(t, rdb)
			warm := k.id() // another session, so that the scripts and the client are known
			err := openOneByOne(ctx, s, k, warm, client)
			if err == nil {
				err = flow.do(ctx, s, k, warm)
			}
			trips.Take()
			if err = firstError(err, flow.do(ctx, s, k, id)); err != nil {
				t.Fatalf("%s: %v", flow.name, err)
			}
			n, commands := trips.Take()
			t.Logf("%s: %d %v", flow.name, n, commands)
			return n
		}
		ours, theirs := count(own), count(stock)
		if ours != flow.ours || theirs > ours+1 {
			t.Errorf("%s: %d round trips with our signatures, want %d, and %d with stock ones", flow.name, ours, flow.ours, theirs)
		}
	}
}

// openOneByOne stores the tokens of a login as fosite's handler does, which begins no transaction.
func openOneByOne(ctx context.Context, s *storage.Store, k kind, id string, client fosite.Client) error {
	req := request(id, "alice", client)
	if _, err := s.GetClient(ctx, client.GetID()); err != nil {
		return err
	}
	return firstError(s.CreateAccessTokenSession(ctx, k.sig(id, "a"), req), s.CreateRefreshTokenSession(ctx, k.sig(id, "r"), "", req))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
