package resource_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/resource"
)

func TestIntrospectionIsCachedForABoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, keys.Config{}, false)
		caching := func(cache time.Duration) *resource.Guard {
			return newGuard(t, i, func(c *resource.Config) {
				c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "rs-secret", Cache: cache}
			})
		}
		guard, uncached := caching(10*time.Second), caching(-1)
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
		if n := i.introspections.Load(); n != 1 {
			t.Errorf("50 requests at once made %d introspections", n)
		}
		if status, raw := post(i.server, "/oauth2/revoke", "web", "token", login.Refresh); status != 200 {
			t.Fatalf("%d %s", status, raw)
		}
		if w := ask(uncached, nil, token); w.Code != 401 {
			t.Errorf("revoked, without a cache: %d", w.Code)
		}
		time.Sleep(11 * time.Second)
		if w := ask(guard, nil, token); w.Code != 401 {
			t.Errorf("revoked, after the cache's time: %d", w.Code)
		}
	})
}

func TestRefusedIntrospectionIsUnavailable(t *testing.T) {
	i := newIssuer(t, keys.Config{}, false)
	guard := newGuard(t, i, func(c *resource.Config) {
		c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "wrong"}
	})
	if w := ask(guard, nil, "Bearer "+i.login("web").Access); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
