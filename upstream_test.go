package opgrant_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat"
)

func TestADroppedUserIsNotImportedAgain(t *testing.T) {
	var asked atomic.Int32
	old := oldServer(t, &asked)
	_, site := start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second}
	})
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, site, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if status, members := operate(t, site, admin, `{"operation":"drop_user","username":"olga"}`); status != 200 {
		t.Fatalf("drop: %d %v", status, members)
	}
	if status, members := operate(t, site, "", create); status != 401 {
		t.Errorf("after the drop: %d %v", status, members)
	}
}

// oldServer is an upstream that knows the user olga.
func oldServer(t *testing.T, asked *atomic.Int32) *httptest.Server {
	t.Helper()
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"username":"olga","super_user":false,"sub":"operation"}`))
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(body), `"password":"olgapw"`):
			_, _ = io.WriteString(w, `{"operation_token":"e30.`+payload+`.c2ln","refresh_token":"x"}`)
		case strings.Contains(string(body), `"user_info"`):
			_, _ = io.WriteString(w, `{"active":true,"username":"olga","role":{"permission":{"super_user":false},"role":"keeper","id":"keeper"}}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid credentials"}`)
		}
	}))
	t.Cleanup(old.Close)
	return old
}

func TestUsersAreImportedWhenTheyLogIn(t *testing.T) {
	var asked atomic.Int32
	old := oldServer(t, &asked)
	s, site := start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second}
	})
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, site, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the old server was asked %d times", n)
	}
	old.Close()
	if status, members := operate(t, site, "", create); status != 200 {
		t.Errorf("without the old server: %d %v", status, members)
	}
	if status, members := operate(t, site, basicAuth("olga", "olgapw"), `{"operation":"user_info"}`); status != 200 {
		t.Errorf("user_info: %d %v", status, members)
	}
	if status, members := oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"olga"}, "password": {"olgapw"}}); status != 200 {
		t.Errorf("OAuth login: %d %v", status, members)
	}
	if u, err := s.Store.Users.User(context.Background(), "olga"); err != nil || u.Scheme != "argon2id" || u.Role != "keeper" {
		t.Errorf("stored as %+v, %v", u, err)
	}
	if status, members := operate(t, site, admin, `{"operation":"insert"}`); status != 502 || members["error"] == "" {
		t.Errorf("an operation of the old server: %d %v", status, members)
	}
}
