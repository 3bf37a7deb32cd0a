package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestAnotherReplicaServesTheSameSessionsAndKeys(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("web")
		jwks := func() string {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ts.url+"/.well-known/jwks.json", nil)
			check(t, err)
			return ts.do(req).raw
		}
		before := jwks()
		ts.store, ts.keys = newStore(t, ts.rdb) // without the memory of the first one
		ts.start(nil)
		if jwks() != before {
			t.Error("another JWKS")
		}
		if r := ts.refresh("web", login.text("refresh_token")); r.status != http.StatusOK {
			t.Errorf("refresh at the other replica: %s", r.raw)
		}
		if r := ts.post("/oauth2/revoke", "web", "token", login.text("refresh_token")); r.status != 200 {
			t.Errorf("revocation at the other replica: %s", r.raw)
		}
	})
}

// A key that replaces a leaked one signs at once. Every replica must accept its first token.
func TestAKeyOfAnotherReplicaIsKnownAtOnce(t *testing.T) {
	ts := onFake(t)
	replica := *ts
	replica.store, replica.keys = newStore(t, ts.rdb)
	replica.start(func(c *authserver.Config) { c.Issuer = ts.url })
	for range 5 {
		_, err := ts.keys.Rotate(t.Context(), policy.ES256, true)
		check(t, err)
		if token := ts.login("es").text("access_token"); !replica.active(token) {
			t.Fatal("the other replica does not know the key")
		}
	}
}

// An unknown key may be the newest one. Only the store can tell.
func TestAnUnknownKeyInAnOutageIsUnavailable(t *testing.T) {
	redis := storagetest.StartMiniredis(t)
	ts := newTestServer(t, redis.Client(t))
	store, err := storage.New(ts.rdb, storage.Options{ClientCache: time.Hour})
	check(t, err)
	ts.store = store
	ts.start(nil)
	token := ts.login("es").text("access_token")
	ts.active(token) // now the client is cached
	_, payload, _ := strings.Cut(token, ".")
	other := segment(t, map[string]any{"alg": "ES256", "kid": "newest", "typ": "at+jwt"}) + "." + payload
	if ts.active(other) {
		t.Fatal("a forged token is active")
	}
	redis.Mini.SetError("LOADING Redis is loading the dataset in memory")
	wantUnavailable(t, "unknown key", ts.post("/oauth2/introspect", "rs", "token", other), 0)
	redis.Mini.SetError("")
}
