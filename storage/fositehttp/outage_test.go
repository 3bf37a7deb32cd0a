package fositehttp_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// While Redis does not answer, every endpoint is 503. What stock fosite answers stands beside it.
func TestOutage(t *testing.T) {
	for _, clients := range []struct {
		name  string
		cache time.Duration
	}{{"client in memory", time.Hour}, {"client in Redis", -1}} {
		for _, outage := range []struct {
			name  string
			begin func(*testing.T, *storagetest.Server)
		}{
			{"killed", func(_ *testing.T, s *storagetest.Server) { s.Kill() }},
			{"frozen", func(t *testing.T, s *storagetest.Server) { s.Freeze(t) }},
		} {
			t.Run(clients.name+", "+outage.name, func(t *testing.T) {
				t.Parallel()
				server := storagetest.StartRedis(t, storagetest.Options{})
				checkOutage(t, server, clients.cache, outage.begin)
			})
		}
	}
}

// stockStore is the store, for tests that replace one of its methods.
type stockStore struct{ *storage.Store }

func checkOutage(t *testing.T, server *storagetest.Server, clientCache time.Duration, begin func(*testing.T, *storagetest.Server)) {
	t.Helper()
	calm := endpoints(newProvider(fositeConfig(), stockStore{Store: newStore(t, server)}), true)
	login := post(calm, "/token", "basic", passwordGrant)
	caller := post(calm, "/token", "basic", url.Values{"grant_type": {"client_credentials"}})
	if login.Status != http.StatusOK || caller.Status != http.StatusOK {
		t.Fatalf("before the outage: %d %s, %d %s", login.Status, login.body, caller.Status, caller.body)
	}
	access, refresh := url.Values{"token": {login.text("access_token")}}, url.Values{"token": {login.text("refresh_token")}}
	store := openStore(t, server, storage.Options{Timeout: 100 * time.Millisecond, ClientCache: clientCache})
	p := newProvider(fositeConfig(), stockStore{Store: store})
	stock, helped := endpoints(p, false), endpoints(p, true)
	for _, err := store.GetClient(t.Context(), "app"); err != nil; _, err = store.GetClient(t.Context(), "app") {
		t.Logf("not read yet: %v", err) // on a busy machine the short time-out may be over
	}
	bearer := "bearer " + caller.text("access_token")
	type result struct {
		Status int
		Error  string
	}
	requests := []struct {
		name, path, as  string
		form            url.Values
		stock, uncached result // of fosite, with the client in memory and without it
	}{
		{"password", "/token", "basic", passwordGrant, result{500, "server_error"}, result{401, "invalid_client"}},
		{"refresh", "/token", "basic", refreshGrant(refresh.Get("token")), result{500, "server_error"}, result{401, "invalid_client"}},
		{
			"client credentials", "/token", "basic",
			url.Values{"grant_type": {"client_credentials"}},
			result{500, "error"},
			result{401, "invalid_client"},
		},
		{"introspection", "/introspect", "basic", access, result{200, ""}, result{401, "request_unauthorized"}},
		{"introspection by bearer", "/introspect", bearer, access, result{401, "request_unauthorized"}, result{401, "request_unauthorized"}},
		{"introspection of a refresh token", "/introspect", "basic", refresh, result{200, ""}, result{401, "request_unauthorized"}},
		{"revocation", "/revoke", "basic", refresh, result{200, ""}, result{401, "invalid_client"}},
		{"revocation of an access token", "/revoke", "basic", access, result{200, ""}, result{401, "invalid_client"}},
	}
	begin(t, server)
	for _, r := range requests {
		want := r.uncached
		if clientCache > 0 {
			want = r.stock
		}
		got := post(stock, r.path, r.as, r.form)
		t.Logf("%-32s stock %d %s", r.name, got.Status, got.body)
		if (result{got.Status, got.Error}) != want || got.Active {
			t.Errorf("%s: stock fosite answers %d %s, want %v", r.name, got.Status, got.body, want)
		}
		t.Run(r.name, func(t *testing.T) { checkUnavailable(t, post(helped, r.path, r.as, r.form)) })
	}
}
