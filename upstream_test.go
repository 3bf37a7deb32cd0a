package opgrant_test

import (
	"context"
	"encoding/base64"
	"fmt"
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
	"github.com/opgrant/opgrant/storage/throttle"
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
	before := asked.Load()
	if status, members := operate(t, site, "", create); status != 401 {
		t.Errorf("after the drop: %d %v", status, members)
	}
	if n := asked.Load(); n != before {
		t.Errorf("the old server was asked %d times about a dropped user", n-before)
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

// Each way to have a password checked before something is forwarded counts with the same throttle, and none reaches the old server.
func TestPasswordsOnTheWayToTheUpstreamAreThrottled(t *testing.T) {
	ways := map[string]func(r *http.Request, password string) (body string){
		"Basic": func(r *http.Request, password string) string {
			r.SetBasicAuth("HDB_ADMIN", password)
			return `{"operation":"sql"}`
		},
		"Basic, MessagePack": func(r *http.Request, password string) string {
			r.SetBasicAuth("HDB_ADMIN", password)
			r.Header.Set("Content-Type", "application/x-msgpack")
			return "\x81\xa9operation\xa3sql"
		},
		"the body": func(_ *http.Request, password string) string {
			return `{"operation":"sql","username":"HDB_ADMIN","password":"` + password + `"}`
		},
		"login": func(_ *http.Request, password string) string {
			return `{"operation":"login","username":"HDB_ADMIN","password":"` + password + `"}`
		},
		"the tokens of a login": func(_ *http.Request, password string) string {
			return `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"` + password + `"}`
		},
	}
	var asked atomic.Int32
	old := oldServer(t, &asked)
	_, site := start(t, func(c *opgrant.Config) {
		c.Storage.Throttle = throttle.Limits{PerUserNetwork: len(ways), Window: time.Hour}
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second, Cookies: true}
	})
	for round, want := range []int{http.StatusUnauthorized, http.StatusTooManyRequests} {
		for name, prepare := range ways {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			body := prepare(r, fmt.Sprintf("wrong %d %s", round, name))
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			if status, members := answered(t, site, r); status != want {
				t.Errorf("%s, round %d: %d %v, want %d", name, round, status, members, want)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the old server was asked %d times", n)
	}
}
