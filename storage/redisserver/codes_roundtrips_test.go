package redisserver_test

import (
	"crypto/ed25519"
	"os"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// What the methods for codes and requests cost once scripts are loaded and the client is cached.
func TestRoundTripsOfCodes(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		countCodeTrips(t, connect(t, storagetest.StartInstance(t).Addr))
	})
	t.Run("cluster", func(t *testing.T) {
		if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
			t.Skip("set OPGRANT_TEST_FAULTS=short or full")
		}
		t.Parallel()
		countCodeTrips(t, connect(t, storagetest.StartCluster(t, storagetest.Options{}).Addrs()...))
	})
}

func countCodeTrips(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	var trips storagetest.Trips
	ctx := trips.Within(t.Context())
	client.AddHook(&trips)
	s := newStore(t, client)
	c := &storage.Client{ID: "counted", Public: true, Grants: []string{"password"}}
	put(t, s, c)
	if err := s.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "secret"); err != nil {
		t.Fatal(err)
	}
	public, _, _ := ed25519.GenerateKey(nil)
	key := storage.IssuerKey{Issuer: "issuer", Subject: "alice", Key: jose.JSONWebKey{Key: public, KeyID: "one"}}
	var nonce string
	for _, round := range []string{"cold", "warm"} {
		native, own := issueCode(t, s, c, true, "alice")
		foreign, theirs := issueCode(t, s, c, false, "alice")
		alone, _ := issueCode(t, s, c, true, "alice")
		theirsAlone, _ := issueCode(t, s, c, false, "alice")
		pushed := &fosite.AuthorizeRequest{Request: *own}
		get := func(signature string) error {
			_, err := s.GetAuthorizeCodeSession(ctx, signature, &storagetest.Session{})
			return err
		}
		within := func(signature string) error {
			tx, err := s.BeginTX(ctx)
			if err != nil {
				return err
			}
			if err := s.InvalidateAuthorizeCodeSession(tx, signature); err != nil {
				return err
			}
			return s.Rollback(tx)
		}
		for _, step := range []struct {
			name string
			want int
			do   func() error
		}{
			{"CreateAuthorizeCodeSession", 1, func() error { return s.CreateAuthorizeCodeSession(ctx, native, own) }},
			{"CreateAuthorizeCodeSession, foreign", 1, func() error { return s.CreateAuthorizeCodeSession(ctx, foreign, theirs) }},
			{"GetAuthorizeCodeSession", 1, func() error { return get(native) }},
			{"GetAuthorizeCodeSession, foreign", 2, func() error { return get(foreign) }},
			{"InvalidateAuthorizeCodeSession", 1, func() error { return s.InvalidateAuthorizeCodeSession(ctx, alone) }},
			{"InvalidateAuthorizeCodeSession, foreign", 2, func() error { return s.InvalidateAuthorizeCodeSession(ctx, theirsAlone) }},
			{"InvalidateAuthorizeCodeSession, in a transaction", 1, func() error { return within(native) }},
			{"InvalidateAuthorizeCodeSession, in a transaction, foreign, looked up before", 1, func() error { return within(foreign) }},
			{"look-up, redemption and tokens", 3, func() error { return redeem(ctx, s, native, "x") }},
			{"CreatePKCERequestSession", 1, func() error { return s.CreatePKCERequestSession(ctx, "code", own) }},
			{"GetPKCERequestSession", 1, func() error { _, err := s.GetPKCERequestSession(ctx, "code", &storagetest.Session{}); return err }},
			{"DeletePKCERequestSession", 1, func() error { return s.DeletePKCERequestSession(ctx, "code") }},
			{"CreateOpenIDConnectSession", 1, func() error { return s.CreateOpenIDConnectSession(ctx, "code", own) }},
			{"GetOpenIDConnectSession", 1, func() error { _, err := s.GetOpenIDConnectSession(ctx, "code", own); return err }},
			{"DeleteOpenIDConnectSession", 1, func() error { return s.DeleteOpenIDConnectSession(ctx, "code") }},
			{"CreatePARSession", 1, func() error { return s.CreatePARSession(ctx, "urn:1", pushed) }},
			{"GetPARSession", 1, func() error { _, err := s.GetPARSession(ctx, "urn:1"); return err }},
			{"DeletePARSession", 1, func() error { return s.DeletePARSession(ctx, "urn:1") }},
			{"NewNonce", 1, func() (err error) { nonce, err = s.NewNonce(ctx, "token", time.Now().Add(time.Hour)); return err }},
			{"IsNonceValid", 1, func() error { return s.IsNonceValid(ctx, "token", nonce) }},
			{"PutIssuerKey", 2, func() error { return s.PutIssuerKey(ctx, key) }},
			{"GetPublicKey", 1, func() error { _, err := s.GetPublicKey(ctx, "issuer", "alice", "one"); return err }},
			{"GetPublicKeys", 1, func() error { _, err := s.GetPublicKeys(ctx, "issuer", "alice"); return err }},
			{"GetPublicKeyScopes", 1, func() error { _, err := s.GetPublicKeyScopes(ctx, "issuer", "alice", "one"); return err }},
			{"ListIssuerKeys", 1, func() error { _, err := s.ListIssuerKeys(ctx); return err }},
			{"IsJWTUsed", 1, func() error { _, err := s.IsJWTUsed(ctx, round); return err }},
			{"MarkJWTUsedForTime", 1, func() error { return s.MarkJWTUsedForTime(ctx, round, time.Now().Add(time.Hour)) }},
		} {
			trips.Take()
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if count, commands := trips.Take(); round == "warm" && count != step.want {
				t.Errorf("%s takes %d round trips %v, want %d", step.name, count, commands, step.want)
			}
		}
	}
}
