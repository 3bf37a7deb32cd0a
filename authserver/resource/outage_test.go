package resource_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
)

// unknown is a token whose key nobody has.
func unknown(kid string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "x"})
	token.Header["alg"], token.Header["kid"] = "RS256", kid
	input, _ := token.SigningString()
	return input + "." + strings.Repeat("A", 342)
}

func TestOutageIs503NotALogout(t *testing.T) {
	i := newIssuer(t, keys.Config{})
	good := "Bearer " + i.login("web").Access
	want := func(what string, guard *resource.Guard, token string, status int) {
		t.Helper()
		w := ask(guard, nil, token)
		if w.Code != status {
			t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, status)
		}
		if status == 503 && (w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", what, w.Header())
		}
	}
	var shift atomic.Int64 // read by what renews keys in the background
	clock := func(c *resource.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
		c.KeysEvery = 50 * time.Millisecond
		c.KeysStale = 20 * time.Minute
	}
	guard, fresh := newGuard(t, i, clock), newGuard(t, i, clock)
	asking := newGuard(t, i, func(c *resource.Config) {
		c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "secret", Cache: 5 * time.Minute}
		clock(c)
	})
	want("before", guard, good, 200)
	want("before, introspected", asking, good, 200)

	i.down.Store(true)
	want("keys at hand", guard, good, 200)
	want("no keys yet", fresh, good, 503)
	want("a key that is not known", guard, "Bearer "+unknown("new"), 503)
	want("answer at hand", asking, good, 200)
	want("another token, introspected", asking, "Bearer "+i2(t, i), 503)
	want("nonsense is nonsense in an outage too", guard, "Bearer x", 401)
	shift.Store(int64(10 * time.Minute))
	want("keys no longer fresh", guard, good, 200)
	want("answer too old", asking, good, 503)
	shift.Store(int64(25 * time.Minute))
	want("keys too old", guard, good, 503)

	i.down.Store(false)
	shift.Store(int64(25*time.Minute + time.Second)) // past KeysEvery
	want("after", guard, good, 200)
	want("after, first keys", fresh, good, 200)
	want("after, introspected", asking, good, 200)
	want("a key that is not known, after", guard, "Bearer "+unknown("new"), 401)
}

// i2 makes a token while the door is closed to others.
func i2(t *testing.T, i *issuer) string {
	t.Helper()
	i.down.Store(false)
	defer i.down.Store(true)
	return i.login("web").Access
}

func TestUnknownKeysCauseNoStampede(t *testing.T) {
	i := newIssuer(t, keys.Config{})
	guard := newGuard(t, i, func(c *resource.Config) { c.KeysEvery = 300 * time.Millisecond })
	good := "Bearer " + i.login("web").Access
	ask(guard, nil, good)
	i.jwks.Store(0)
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
				t.Errorf("a good token beside: %d", w.Code)
			}
		})
	}
	all.Wait()
	if n, most := i.jwks.Load(), int64(time.Since(start)/(300*time.Millisecond))+1; n > most {
		t.Errorf("%d fetches, at most %d are allowed", n, most)
	}
}

// A key that signs at once, as after a leak, is found by all who meet it with one fetch.
func TestNewKeyIsFoundAtOnce(t *testing.T) {
	i := newIssuer(t, keys.Config{})
	guard := newGuard(t, i, func(c *resource.Config) { c.KeysEvery = 100 * time.Millisecond })
	ask(guard, nil, "Bearer "+i.login("web").Access)
	_, err := i.keys.Rotate(t.Context(), policy.RS256, true)
	check(t, err)
	token := "Bearer " + i.login("web").Access
	i.jwks.Store(0)
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
}

func TestIntrospectionIsCachedForABoundedTime(t *testing.T) {
	i := newIssuer(t, keys.Config{})
	var shift atomic.Int64 // read by what renews keys in the background
	caching := func(cache time.Duration) *resource.Guard {
		return newGuard(t, i, func(c *resource.Config) {
			c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "secret", Cache: cache}
			c.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
		})
	}
	guard, eager := caching(10*time.Second), caching(-1)
	login := i.login("web")
	token := "Bearer " + login.Access
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if w := ask(guard, nil, token); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	all.Wait()
	if n := i.looks.Load(); n != 1 {
		t.Errorf("50 requests at once asked %d times", n)
	}
	if status, raw := i.post(i.url, "/oauth2/revoke", "web", "token", login.Refresh); status != 200 {
		t.Fatalf("%d %s", status, raw)
	}
	if w := ask(eager, nil, token); w.Code != 401 {
		t.Errorf("revoked, without a cache: %d", w.Code)
	}
	shift.Store(int64(11 * time.Second))
	if w := ask(guard, nil, token); w.Code != 401 {
		t.Errorf("revoked, past the cache's time: %d", w.Code)
	}
}

func TestIntrospectionThatIsRefusedIsNoVerdict(t *testing.T) {
	i := newIssuer(t, keys.Config{})
	guard := newGuard(t, i, func(c *resource.Config) {
		c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "wrong"}
	})
	if w := ask(guard, nil, "Bearer "+i.login("web").Access); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
