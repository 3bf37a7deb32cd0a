package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// bothDoors is the public side of the program in this process, on a store of its own.
func bothDoors(t *testing.T, change func(*config.Config)) (*state, *httptest.Server) {
	t.Helper()
	address, stop, err := embeddedRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := config.Dev()
	cfg.Redis.URL, cfg.Issuer = config.RedisURL(address), "http://127.0.0.1:9925"
	if change != nil {
		change(cfg)
	}
	s, err := openState(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	log, _ := testLog(t)
	if err := bootOnce(t.Context(), cfg, s, log, false); err != nil {
		t.Fatal(err)
	}
	public, err := newPublic(cfg, s, &health{log: log}, newMetrics(), log)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(public)
	t.Cleanup(server.Close)
	return s, server
}

// operate sends one operation and returns the status and the members of the answer.
func operate(t *testing.T, server *httptest.Server, authorization, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return answered(t, server, r)
}

// standard sends a form to the standard door as the confidential client of --dev.
func standard(t *testing.T, server *httptest.Server, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("demo", "demo-secret")
	return answered(t, server, r)
}

func answered(t *testing.T, server *httptest.Server, r *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&members); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return resp.StatusCode, members
}

func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

var admin = basicAuth("HDB_ADMIN", "password")

// login opens a session of alice, whom it makes first, at the legacy door.
func loginAlice(t *testing.T, server *httptest.Server) (operation, refresh string) {
	t.Helper()
	operate(t, server, admin, `{"operation":"add_role","role":"staff","permission":{"super_user":false}}`)
	operate(t, server, admin, `{"operation":"add_user","username":"alice","password":"alicepw","role":"staff","active":true}`)
	status, tokens := operate(t, server, "", `{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`)
	operation, _ = tokens["operation_token"].(string)
	refresh, _ = tokens["refresh_token"].(string)
	if status != 200 || operation == "" || refresh == "" {
		t.Fatalf("login: %d %v", status, tokens)
	}
	return operation, refresh
}

func TestTheTwoRequestsOfTheDocument(t *testing.T) {
	_, server := bothDoors(t, nil)
	status, tokens := operate(t, server, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	if status != 200 || len(tokens) != 2 {
		t.Fatalf("create: %d %v", status, tokens)
	}
	body := `{"operation":"refresh_operation_token","refresh_token":"` + tokens["refresh_token"].(string) + `"}`
	for range 5 {
		status, refreshed := operate(t, server, "", body)
		if status != 200 || len(refreshed) != 1 || refreshed["operation_token"] == "" {
			t.Errorf("refresh: %d %v", status, refreshed)
		}
	}
}

func TestWhatHappensToAUserShowsAtBothDoors(t *testing.T) {
	tests := []struct {
		name, change string
	}{
		{"a changed password", `{"operation":"alter_user","username":"alice","password":"another"}`},
		{"a disabled user", `{"operation":"alter_user","username":"alice","active":false}`},
		{"a dropped user", `{"operation":"drop_user","username":"alice"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, server := bothDoors(t, nil)
			operation, refresh := loginAlice(t, server)
			status, moved := standard(t, server, "/oauth2/token", url.Values{
				"grant_type": {"password"}, "username": {"alice"}, "password": {"alicepw"},
			})
			if status != 200 {
				t.Fatalf("login at the standard door: %d %v", status, moved)
			}
			if status, members := standard(t, server, "/oauth2/introspect", url.Values{"token": {operation}}); status != 200 || members["active"] != true {
				t.Fatalf("introspection before: %d %v", status, members)
			}
			if status, members := operate(t, server, admin, test.change); status != 200 {
				t.Fatalf("change: %d %v", status, members)
			}
			if status, members := operate(t, server, "Bearer "+operation, `{"operation":"user_info"}`); status != 401 {
				t.Errorf("operation token: %d %v", status, members)
			}
			if status, members := operate(t, server, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`); status != 401 {
				t.Errorf("refresh token: %d %v", status, members)
			}
			for _, token := range []any{operation, refresh, moved["access_token"], moved["refresh_token"]} {
				if _, members := standard(t, server, "/oauth2/introspect", url.Values{"token": {token.(string)}}); members["active"] != false {
					t.Errorf("introspection: %v", members)
				}
			}
			status, members := standard(t, server, "/oauth2/token", url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {moved["refresh_token"].(string)},
			})
			if status != 400 || members["error"] != "invalid_grant" {
				t.Errorf("refresh at the standard door: %d %v", status, members)
			}
		})
	}
}

func TestTheWayOut(t *testing.T) {
	_, server := bothDoors(t, nil)
	operation, refresh := loginAlice(t, server)
	status, moved := standard(t, server, "/oauth2/token", url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {refresh}, "subject_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"},
	})
	if status != 200 || moved["refresh_token"] == "" || moved["access_token"] == "" {
		t.Fatalf("exchange: %d %v", status, moved)
	}
	if status, members := standard(t, server, "/oauth2/introspect", url.Values{"token": {moved["access_token"].(string)}}); status != 200 || members["sub"] != "alice" {
		t.Errorf("introspection of the new token: %d %v", status, members)
	}
	if status, members := operate(t, server, "Bearer "+moved["access_token"].(string), `{"operation":"user_info"}`); status != 401 {
		t.Errorf("a token for other servers opens the legacy door: %d %v", status, members)
	}
	if status, _ := standard(t, server, "/oauth2/revoke", url.Values{"token": {operation}}); status != 200 {
		t.Errorf("revocation: %d", status)
	}
}

func TestBasicOnEveryRequestIsHashedOnce(t *testing.T) {
	s, server := bothDoors(t, nil)
	operate(t, server, admin, `{"operation":"user_info"}`)
	before := s.store.Users.PasswordRuns()
	for range 20 {
		if status, members := operate(t, server, admin, `{"operation":"user_info"}`); status != 200 {
			t.Fatalf("%d %v", status, members)
		}
	}
	if runs := s.store.Users.PasswordRuns() - before; runs > 1 {
		t.Errorf("%d hashes for 20 requests", runs)
	}
	if status, _ := operate(t, server, admin, `{"operation":"alter_user","username":"HDB_ADMIN","password":"changed"}`); status != 200 {
		t.Fatal("the password was not changed")
	}
	if status, _ := operate(t, server, admin, `{"operation":"user_info"}`); status != 401 {
		t.Errorf("the old password still opens: %d", status)
	}
}

func TestFailuresAreThrottledForBothDoorsTogether(t *testing.T) {
	_, server := bothDoors(t, func(c *config.Config) { c.Throttle.PerUser = 3 })
	guess := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"guess"}`
	for i := range 3 {
		if status, members := operate(t, server, "", guess); status != 401 {
			t.Fatalf("guess %d: %d %v", i, status, members)
		}
	}
	if status, _ := operate(t, server, admin, `{"operation":"user_info"}`); status != 429 {
		t.Errorf("Basic: %d", status)
	}
	if status, _ := standard(t, server, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"HDB_ADMIN"}, "password": {"password"}}); status != 429 {
		t.Errorf("the standard door: %d", status)
	}
}

func TestWhoWasDroppedDoesNotMoveAgain(t *testing.T) {
	var asked atomic.Int32
	old := oldDoor(t, &asked)
	_, server := bothDoors(t, func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamTimeout = old.URL, time.Second })
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, server, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if status, members := operate(t, server, admin, `{"operation":"drop_user","username":"olga"}`); status != 200 {
		t.Fatalf("drop: %d %v", status, members)
	}
	if status, members := operate(t, server, "", create); status != 401 {
		t.Errorf("after the drop: %d %v", status, members)
	}
}

// oldDoor is an old server that knows olga.
func oldDoor(t *testing.T, asked *atomic.Int32) *httptest.Server {
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

func TestUsersMoveWhenTheyLogIn(t *testing.T) {
	var asked atomic.Int32
	old := oldDoor(t, &asked)
	s, server := bothDoors(t, func(c *config.Config) { c.Compat.Upstream, c.Compat.UpstreamTimeout = old.URL, time.Second })
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, server, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the old server was asked %d times", n)
	}
	old.Close()
	if status, members := operate(t, server, "", create); status != 200 {
		t.Errorf("without the old server: %d %v", status, members)
	}
	if status, members := operate(t, server, basicAuth("olga", "olgapw"), `{"operation":"user_info"}`); status != 200 {
		t.Errorf("user_info: %d %v", status, members)
	}
	if status, members := standard(t, server, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"olga"}, "password": {"olgapw"}}); status != 200 {
		t.Errorf("the standard door: %d %v", status, members)
	}
	if u, err := s.store.Users.User(context.Background(), "olga"); err != nil || u.Scheme != "argon2id" || u.Role != "keeper" {
		t.Errorf("stored as %+v, %v", u, err)
	}
	if status, members := operate(t, server, admin, `{"operation":"insert"}`); status != 502 || members["error"] == "" {
		t.Errorf("an operation of the old server: %d %v", status, members)
	}
}
