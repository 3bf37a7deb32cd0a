package resource_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
)

// unknown is a token whose key does not exist.
func unknown(kid string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "x"})
	token.Header["alg"], token.Header["kid"] = "RS256", kid
	input, _ := token.SigningString()
	return input + "." + strings.Repeat("A", 342)
}

func TestUnknownKeysShareFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, keys.Config{}, false)
		guard := newGuard(t, i, func(c *resource.Config) { c.KeysEvery = 300 * time.Millisecond })
		good := "Bearer " + i.login("web").Access
		ask(guard, nil, good)
		i.jwks.Store(0)
		time.Sleep(time.Millisecond) // the cached keys must be older than the next tokens
		start := time.Now()
		var all sync.WaitGroup
		for n := range 200 {
			all.Go(func() {
				if w := ask(guard, nil, "Bearer "+unknown("made-up-"+strings.Repeat("x", n))); w.Code != 401 {
					t.Errorf("%d", w.Code)
				}
			})
			all.Go(func() {
				if w := ask(guard, nil, good); w.Code != 200 {
					t.Errorf("a valid token at the same time: %d", w.Code)
				}
			})
		}
		all.Wait()
		if n, most := i.jwks.Load(), int64(time.Since(start)/(300*time.Millisecond))+1; n > most {
			t.Errorf("%d fetches, at most %d are allowed", n, most)
		}
	})
}

// A key that signs at once, as after a leak, is fetched once for all requests that need it.
func TestNewKeyIsFetchedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, keys.Config{}, false)
		guard := newGuard(t, i, func(c *resource.Config) { c.KeysEvery = 100 * time.Millisecond })
		ask(guard, nil, "Bearer "+i.login("web").Access)
		_, err := i.keys.Rotate(t.Context(), policy.RS256, true)
		check(t, err)
		token := "Bearer " + i.login("web").Access
		i.jwks.Store(0)
		time.Sleep(time.Millisecond) // the cached keys must be older than the next tokens
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if w := ask(guard, nil, token); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if n := i.jwks.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// The default client follows no redirect: a key set from elsewhere would make others' tokens valid.
func TestDefaultClientFollowsNoRedirect(t *testing.T) {
	i := newIssuer(t, keys.Config{}, false)
	var elsewhere *httptest.Server
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(server.Close)
	elsewhere = httptest.NewServer(i.server)
	t.Cleanup(elsewhere.Close)
	for url, want := range map[string]int{elsewhere.URL: 200, server.URL: 503} {
		guard := newGuard(t, i, func(c *resource.Config) { c.HTTP, c.KeysURL = nil, url+"/.well-known/jwks.json" })
		if w := ask(guard, nil, "Bearer "+i.login("web").Access); w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
}

// A key that was revoked is not used for longer than KeysFresh, however rarely requests come in. Without the authorization
// server it is used until KeysStale, and requests do not wait for it.
func TestRevokedKeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, row := range map[string]struct {
			idle   time.Duration // until the next request
			down   bool
			status int
		}{
			"requests all the time":                  {time.Second, false, 401},
			"a request now and then":                 {4 * time.Minute, false, 401},
			"none for long":                          {40 * time.Minute, false, 401},
			"no authorization server":                {10 * time.Second, true, 200},
			"no authorization server, none for long": {40 * time.Minute, true, 200},
		} {
			i := newIssuer(t, keys.Config{}, false)
			guard := newGuard(t, i, nil)
			token := "Bearer " + i.login("es").Access
			ask(guard, nil, token)
			k, err := i.keys.Signer(policy.ES256)
			check(t, err)
			_, err = i.keys.Revoke(t.Context(), k.ID)
			check(t, err)
			i.down.Store(row.down)
			var w *httptest.ResponseRecorder
			for revoked := time.Now(); time.Since(revoked) <= 5*time.Minute; {
				time.Sleep(row.idle)
				w = ask(guard, nil, token)
			}
			if w.Code != row.status {
				t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, row.status)
			}
		}
	})
}
