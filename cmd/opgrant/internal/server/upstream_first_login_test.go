package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat/wiretest"
	"github.com/opgrant/opgrant/config"
)

// compat.upstream is all that is needed for users of the old server to log in by OAuth.
func TestUsersOfTheConfiguredUpstreamLogInByOAuth(t *testing.T) {
	old, err := wiretest.NewOldServer(wiretest.LoadFile(t, "../../../../compat/testdata/wire-cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	old.PutUser(wiretest.OldUser{Name: "olga", Password: "olgapw", Role: "super_user", Active: true})
	upstream := httptest.NewServer(old)
	defer upstream.Close()
	site, _ := startServer(t, func(c *config.Config) { c.Compat.Upstream = upstream.URL })
	for password, want := range map[string]int{"olgapw": http.StatusOK, "wrong": http.StatusBadRequest} {
		form := url.Values{
			"grant_type": {"password"}, "username": {"olga"}, "password": {password}, "client_id": {"demo"}, "client_secret": {"demo-secret"},
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site+"/oauth2/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s", password, response.Status)
		}
	}
	if n := old.Served("create_authentication_tokens"); n != 0 {
		t.Errorf("%d logins at the old server", n)
	}
}
