package authserver_test

import (
	"net/http"
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// A path that is not exactly that of an endpoint is 404: a redirect would drop the body, and a second spelling could pass the
// rules of a proxy.
func TestOtherSpellingsOfPathsAreNotFound(t *testing.T) {
	ts := onFake(t)
	for _, path := range []string{
		"//oauth2/token", "/oauth2//token", "/oauth2/token/", "/oauth2/./token", "/oauth2/../oauth2/token", "/OAuth2/Token",
		"/oauth2%2ftoken", "/oauth2/token%00", "/oauth2/token;x", "/oauth2/token%20", "/", "/oauth2",
	} {
		r := ts.raw(http.MethodPost, path, loginBody, "Authorization", as("web"))
		if r.status != http.StatusNotFound || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", path, r.status, r.header.Get("Location"))
		}
	}
}

// A server that started before Redis has no keys.
func TestWithoutKeysEverythingIs503(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web")
	none, err := keys.New(keys.Config{Store: unopenedKeys{ts.store.Keys}})
	check(t, err)
	ts.start(func(c *authserver.Config) { c.Keys = none })
	wantUnavailable(t, "keys", ts.raw(http.MethodGet, "/.well-known/jwks.json", ""), 0)
	wantUnavailable(t, "login", ts.try("web", "alice", "wonder land"), 0)
	wantUnavailable(t, "introspection", ts.post("/oauth2/introspect", "rs", "token", token.text("access_token")), 0)
	wantUnavailable(t, "revocation", ts.post("/oauth2/revoke", "web", "token", token.text("access_token")), 0)
	wantUnavailable(t, "refresh", ts.refresh("web", token.text("refresh_token")), 0)
	wantUnavailable(t, "legacy refresh", ts.refresh("old", token.text("access_token")), 0)
}

// unopenedKeys is a key store from which no keys have been loaded.
type unopenedKeys struct{ *storage.Keys }
