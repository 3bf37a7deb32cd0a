package authserver_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// countedMethod is a signing method that counts verifications.
type countedMethod struct {
	jwt.SigningMethod
	verified *int
}

func (m countedMethod) Verify(input string, signature []byte, key any) error {
	*m.verified++
	return m.SigningMethod.Verify(input, signature, key)
}

// namingStorage counts how often each token is named.
type namingStorage struct {
	*storage.Store
	mutex sync.Mutex
	named map[string]int
}

func (s *namingStorage) name(token string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.named[token]++
}

func (s *namingStorage) TokenSignature(session, token string) string {
	s.name(token)
	return s.Store.TokenSignature(session, token)
}

func (s *namingStorage) RefreshSignature(session, token string, number uint32) string {
	s.name(token)
	return s.Store.RefreshSignature(session, token, number)
}

func (s *namingStorage) NewRefreshToken(ctx context.Context, session string, number uint32) (token, signature string, err error) {
	token, signature, err = s.Store.NewRefreshToken(ctx, session, number)
	s.name(token)
	return token, signature, err
}

func (s *namingStorage) ParseRefreshToken(ctx context.Context, token string) (session, signature string, number uint32, err error) {
	s.name(token)
	return s.Store.ParseRefreshToken(ctx, token)
}

// A request verifies the signature of its token once and names the token once, and so it does with each new token. The test
// replaces signing methods of the process, so it does not run in parallel with others.
func TestEachTokenIsVerifiedAndNamedOnce(t *testing.T) {
	verified := 0
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodES256} {
		jwt.RegisterSigningMethod(m.Alg(), func() jwt.SigningMethod { return countedMethod{m, &verified} })
		t.Cleanup(func() { jwt.RegisterSigningMethod(m.Alg(), func() jwt.SigningMethod { return m }) })
	}
	ts := newTestServer(t, storagetest.StartMiniredis(t).Client(t))
	s := &namingStorage{Store: ts.store, named: map[string]int{}}
	ts.start(func(c *authserver.Config) { c.Storage = s })
	web, old, es := ts.login("web"), ts.login("old"), ts.login("es")
	revoked := ts.login("old")
	imported := importKey(t, ts)("alice", "refresh", time.Now().Add(time.Second))
	for _, row := range []struct {
		name          string
		request       func() reply
		token         string
		verifications int
	}{
		{"refresh with a JWT", func() reply { return ts.refresh("old", old.text("refresh_token")) }, old.text("refresh_token"), 1},
		{"refresh with an opaque token", func() reply { return ts.refresh("web", web.text("refresh_token")) }, web.text("refresh_token"), 0},
		{"the same within the grace", func() reply { return ts.refresh("web", web.text("refresh_token")) }, web.text("refresh_token"), 0},
		{"first refresh with an imported token", func() reply { return ts.refresh("old", imported) }, imported, 1},
		{"introspection", func() reply { return ts.post("/oauth2/introspect", "rs", "token", web.text("access_token")) }, web.text("access_token"), 1},
		{"introspection, ES256", func() reply { return ts.post("/oauth2/introspect", "rs", "token", es.text("access_token")) }, es.text("access_token"), 1},
		{"introspection of an opaque token", func() reply { return ts.post("/oauth2/introspect", "es", "token", es.text("refresh_token")) }, es.text("refresh_token"), 0},
		{"token exchange", func() reply {
			return ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", old.text("access_token"), "subject_token_type", typeAccess)
		}, old.text("access_token"), 1},
		{"revocation of an access token", func() reply { return ts.post("/oauth2/revoke", "es", "token", es.text("access_token")) }, es.text("access_token"), 1},
		{"revocation of a JWT refresh token", func() reply { return ts.post("/oauth2/revoke", "old", "token", revoked.text("refresh_token")) }, revoked.text("refresh_token"), 1},
	} {
		verified = 0
		clear(s.named)
		r := row.request()
		if r.status != 200 || strings.Contains(r.raw, `"active":false`) {
			t.Fatalf("%s: %d %s", row.name, r.status, r.raw)
		}
		if verified != row.verifications {
			t.Errorf("%s: %d verifications, want %d", row.name, verified, row.verifications)
		}
		if s.named[row.token] != 1 {
			t.Errorf("%s: the token was named %d times", row.name, s.named[row.token])
		}
		for token, n := range s.named {
			if n != 1 {
				t.Errorf("%s: a token was named %d times: %.20s", row.name, n, token)
			}
		}
	}
}
