package fositehttp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// killing ends Redis before the second look-up of an introspection.
type killing struct {
	stockStore
	server *storagetest.Server
}

func (k killing) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	k.server.Kill()
	return k.stockStore.GetRefreshTokenSession(ctx, signature, into)
}

// fosite looks a token up among access tokens, then among refresh tokens, and returns the error of the first alone. A live refresh
// token is not inactive when only the second look-up fails.
func TestOutageBetweenTwoLookups(t *testing.T) {
	lookUp := func(t *testing.T, helped bool) answer {
		server := storagetest.StartRedis(t, storagetest.Options{})
		store := stockStore{Store: newStore(t, server)}
		calm := endpoints(newProvider(fositeConfig(), store), helped)
		login := post(calm, "/token", "basic", passwordGrant)
		form := url.Values{"token": {login.text("refresh_token")}}
		if a := post(calm, "/introspect", "basic", form); !a.Active {
			t.Fatalf("before the outage: %d %s", a.Status, a.body)
		}
		return post(endpoints(newProvider(fositeConfig(), killing{store, server}), helped), "/introspect", "basic", form)
	}
	if a := lookUp(t, false); a.Status != 200 || a.body != `{"active":false}`+"\n" {
		t.Errorf("stock fosite answers %d %s, want active false", a.Status, a.body)
	}
	checkUnavailable(t, lookUp(t, true))
}

// fosite drops the error of the access token that authenticates an introspection. Here no look-up as a refresh token follows.
func TestOutageWhileABearerTokenIsLookedUp(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	config := fositeConfig()
	config.DisableRefreshTokenValidation = true
	p := newProvider(config, stockStore{Store: newStore(t, server)})
	stock, helped := endpoints(p, false), endpoints(p, true)
	login, caller := post(helped, "/token", "basic", passwordGrant), post(helped, "/token", "basic", passwordGrant)
	bearer, form := "bearer "+caller.text("access_token"), url.Values{"token": {login.text("access_token")}}
	if a := post(helped, "/introspect", bearer, form); !a.Active {
		t.Fatalf("before the outage: %d %s", a.Status, a.body)
	}
	server.Kill()
	if a := post(stock, "/introspect", bearer, form); a.Status != 401 || a.Error != "request_unauthorized" {
		t.Errorf("stock fosite answers %d %s, want request_unauthorized", a.Status, a.body)
	}
	checkUnavailable(t, post(helped, "/introspect", bearer, form))
}

// A code that is used twice ends its tokens (RFC 6749 section 4.1.2). When the store cannot end them, the client should try again,
// and fosite would tell it not to.
func TestOutageWhileACodeIsUsedTwice(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	memory := newMemory()
	sessions, err := storage.NewTokens(connect(t, server), memory, storage.Options{Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	p := newProvider(fositeConfig(), parts{memory, memory, memory, tokens{sessions}}, compose.OAuth2AuthorizeExplicitFactory)
	form := codeGrant(t, memory)
	if a := post(endpoints(p, true), "/token", "basic", form); a.Status != 200 {
		t.Fatalf("redemption: %d %s", a.Status, a.body)
	}
	server.Kill()
	if a := post(endpoints(p, false), "/token", "basic", form); a.Status != 400 || a.Error != "invalid_grant" {
		t.Errorf("stock fosite answers %d %s, want invalid_grant", a.Status, a.body)
	}
	checkUnavailable(t, post(endpoints(p, true), "/token", "basic", form))
}

// codeGrant stores a code and returns the request that redeems it.
func codeGrant(t *testing.T, memory *fositestorage.MemoryStore) url.Values {
	t.Helper()
	session := &fosite.DefaultSession{Subject: "alice"}
	session.SetExpiresAt(fosite.AuthorizeCode, time.Now().Add(time.Hour))
	req := fosite.NewAuthorizeRequest()
	req.ID, req.Client, req.Session = storage.NewSessionID("alice"), memory.Clients["app"], session
	code, signature, err := compose.NewOAuth2HMACStrategy(fositeConfig()).GenerateAuthorizeCode(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := memory.CreateAuthorizeCodeSession(t.Context(), signature, req); err != nil {
		t.Fatal(err)
	}
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}}
}

// assertions keeps its clients in memory and the assertions that were used in Redis.
type assertions struct {
	*fositestorage.MemoryStore
	*storage.Clients
}

func (a assertions) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	return a.MemoryStore.GetClient(ctx, id)
}

func (a assertions) ClientAssertionJWTValid(ctx context.Context, jti string) error {
	return a.Clients.ClientAssertionJWTValid(ctx, jti)
}

func (a assertions) SetClientAssertionJWT(ctx context.Context, jti string, expires time.Time) error {
	return a.Clients.SetClientAssertionJWT(ctx, jti, expires)
}

// fosite takes every error of the look-up of a client assertion for one that was used before.
func TestOutageWhileAnAssertionIsLookedUp(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	memory := newMemory()
	memory.Clients["app"] = &fosite.DefaultOpenIDConnectClient{
		DefaultClient:           memory.Clients["app"].(*fosite.DefaultClient),
		TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: "ES256",
		JSONWebKeys: &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, Use: "sig", Algorithm: "ES256"}}},
	}
	store := newStore(t, server)
	p := newProvider(fositeConfig(), assertions{memory, store.Clients}, compose.PushedAuthorizeHandlerFactory)
	with := func(id string, form url.Values) url.Values {
		assertion, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": "app", "sub": "app", "jti": id, "exp": time.Now().Add(time.Hour).Unix(), "aud": "https://as.example.com/token",
		}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
		return form
	}
	revocation := url.Values{"token": {"any"}}
	if a := post(endpoints(p, true), "/revoke", "", with("first", revocation)); a.Status != 200 {
		t.Fatalf("before the outage: %d %s", a.Status, a.body)
	}
	if a := post(endpoints(p, true), "/token", "", with("first", refreshGrant("any"))); a.Status != 400 || a.Error != "jti_known" {
		t.Fatalf("an assertion that was used: %d %s", a.Status, a.body)
	}
	server.Kill()
	for _, r := range []struct {
		path   string
		form   url.Values
		status int
		error  string
	}{
		{"/token", refreshGrant("any"), 400, "jti_known"},
		{"/revoke", revocation, 200, ""},
		{"/par", authorization("redirect_uri", callback), 401, "invalid_client"},
	} {
		a := post(endpoints(p, false), r.path, "", with("second", r.form))
		if a.Status != r.status || a.Error != r.error {
			t.Errorf("%s: stock fosite answers %d %s, want %d %s", r.path, a.Status, a.body, r.status, r.error)
		}
		checkUnavailable(t, post(endpoints(p, true), r.path, "", with("second", r.form)))
	}
}

// authorization is an authorization request with more parameters.
func authorization(more ...string) url.Values {
	form := url.Values{"client_id": {"app"}, "response_type": {"code"}, "state": {"a state that is long"}, "scope": {"read"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}
