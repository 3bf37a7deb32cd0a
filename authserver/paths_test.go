package authserver_test

import (
	"net/http"
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// A path that is not exactly ours is none: a redirect would drop the body or send it elsewhere, and two spellings of a path
// get around rules of a proxy in front.
func TestOtherSpellingsOfPathsAreNotFound(t *testing.T) {
	w := onFake(t)
	for _, path := range []string{
		"//oauth2/token", "/oauth2//token", "/oauth2/token/", "/oauth2/./token", "/oauth2/../oauth2/token", "/OAuth2/Token",
		"/oauth2%2ftoken", "/oauth2/token%00", "/oauth2/token;x", "/oauth2/token%20", "/", "/oauth2",
	} {
		r := w.raw(http.MethodPost, path, loginBody, "Authorization", as("web"))
		if r.status != http.StatusNotFound || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", path, r.status, r.header.Get("Location"))
		}
	}
}

// A server that started before Redis did has no keys, and says so as it says everything that it does not know.
func TestWithoutKeysNothingIsKnown(t *testing.T) {
	w := onFake(t)
	token := w.login("web")
	none, err := keys.New(keys.Config{Store: nowhere{w.store.Keys}})
	check(t, err)
	w.start(func(c *authserver.Config) { c.Keys = none })
	wantUnavailable(t, "keys", w.raw(http.MethodGet, "/.well-known/jwks.json", ""))
	wantUnavailable(t, "login", w.try("web", "alice", "wonder land"))
	wantUnavailable(t, "introspection", w.post("/oauth2/introspect", "rs", "token", token.text("access_token")))
	wantUnavailable(t, "revocation", w.post("/oauth2/revoke", "web", "token", token.text("access_token")))
	wantUnavailable(t, "refresh", w.refresh("web", token.text("refresh_token")))
	wantUnavailable(t, "legacy refresh", w.refresh("old", token.text("access_token")))
}

// nowhere is a store whose keys have never been loaded.
type nowhere struct{ *storage.Keys }
