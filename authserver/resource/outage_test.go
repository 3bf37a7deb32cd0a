package resource_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/resource"
)

func TestOutageIs503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, keys.Config{}, false)
		good, second := "Bearer "+i.login("web").Access, "Bearer "+i.login("web").Access
		want := func(what string, guard *resource.Guard, token string, status int) {
			t.Helper()
			time.Sleep(time.Millisecond) // the cached keys must be older than this token
			start := time.Now()
			w := ask(guard, nil, token)
			if w.Code != status {
				t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, status)
			}
			if status == 503 && (w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s: %v", what, w.Header())
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s: %v", what, took)
			}
		}
		config := func(c *resource.Config) {
			c.KeysEvery = 50 * time.Millisecond
			c.KeysStale = 20 * time.Minute
		}
		guard, fresh := newGuard(t, i, config), newGuard(t, i, config)
		asking := newGuard(t, i, func(c *resource.Config) {
			c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "rs-secret", Cache: 5 * time.Minute}
			config(c)
		})
		want("before", guard, good, 200)
		want("before, introspected", asking, good, 200)

		i.down.Store(true)
		want("cached keys", guard, good, 200)
		want("no keys yet", fresh, good, 503)
		want("an unknown key", guard, "Bearer "+unknown("new"), 503)
		want("cached introspection", asking, good, 200)
		want("another token, introspected", asking, second, 503)
		want("a malformed token", guard, "Bearer x", 401)
		time.Sleep(10 * time.Minute)
		want("keys no longer fresh", guard, good, 200)
		want("introspection no longer cached", asking, good, 503)
		time.Sleep(15 * time.Minute)
		want("stale keys", guard, good, 503)

		i.down.Store(false)
		time.Sleep(60 * time.Millisecond)
		want("after", guard, good, 200)
		want("after, first keys", fresh, good, 200)
		want("after, introspected", asking, good, 200)
		want("an unknown key, after", guard, "Bearer "+unknown("new"), 401)
	})
}
