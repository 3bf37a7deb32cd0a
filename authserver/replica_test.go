package authserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A key that leaked is replaced at once, and the tokens of the new one are good at every replica from the first on.
func TestAKeyOfAnotherReplicaIsKnownAtOnce(t *testing.T) {
	w := onFake(t)
	replica := *w
	replica.store, replica.keys = newStore(t, w.rdb)
	replica.start(func(c *authserver.Config) { c.Issuer = w.url })
	for range 5 {
		_, err := w.keys.Rotate(t.Context(), policy.ES256, true)
		check(t, err)
		if token := w.login("es").text("access_token"); !replica.active(token) {
			t.Fatal("the other replica does not know the key")
		}
	}
}

// While the store cannot be asked, nobody can say that there is no such key.
func TestAnUnknownKeyInAnOutageIsADontKnow(t *testing.T) {
	redis := storagetest.StartMiniredis(t)
	w := newWorld(t, redis.Client(t))
	store, err := storage.New(w.rdb, storage.Options{ClientCache: time.Hour, Timeout: hang})
	check(t, err)
	w.store = store
	w.start(nil)
	token := w.login("es").text("access_token")
	w.active(token) // the client is cached from here on
	_, payload, _ := strings.Cut(token, ".")
	other := segment(t, map[string]any{"alg": "ES256", "kid": "newest", "typ": "at+jwt"}) + "." + payload
	if w.active(other) {
		t.Fatal("a forged token is active")
	}
	redis.Mini.SetError("LOADING Redis is loading the dataset in memory")
	wantUnavailable(t, "unknown key", w.post("/oauth2/introspect", "rs", "token", other))
	redis.Mini.SetError("")
}
