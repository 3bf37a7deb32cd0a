package storage_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
)

// Every flow of compose.ComposeAllEnabled works on the store, and on its parts.
func TestStockFlows(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		verifier, parameters := challenge()
		code := s.authorize(s.request("code", "openid offline read "+verifiableVC, parameters...)).Get("code")
		status, tokens := s.exchange(code, verifier)
		if status != http.StatusOK || tokens["id_token"] == nil || tokens["refresh_token"] == nil || !s.active(tokens["access_token"]) {
			t.Fatalf("code: %d %v", status, tokens)
		}
		nonce, _ := tokens["c_nonce_draft_00"].(string)
		access, _ := tokens["access_token"].(string)
		if err := s.store.IsNonceValid(t.Context(), access, nonce); err != nil {
			t.Errorf("nonce: %v", err)
		}
		_, answer := s.post("/introspect", stockSecret, url.Values{"token": {access}})
		if expires, _ := answer["exp"].(float64); time.Until(time.Unix(int64(expires), 0)) < 50*time.Minute {
			t.Errorf("introspection: %v", answer)
		}
		if answer["sub"] != "alice" || answer["client_id"] != "app" || answer["scope"] != "openid offline read "+verifiableVC {
			t.Errorf("introspection: %v", answer)
		}
		refresh, _ := tokens["refresh_token"].(string)
		status, next := s.post("/token", stockSecret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
		if status != http.StatusOK || next["id_token"] == nil || !s.active(next["access_token"]) {
			t.Fatalf("refresh: %d %v", status, next)
		}
		refresh, _ = next["refresh_token"].(string)
		if status, _ := s.post("/revoke", stockSecret, url.Values{"token": {refresh}}); status != http.StatusOK || s.active(next["access_token"]) || s.active(refresh) {
			t.Errorf("revocation: %d", status)
		}

		for _, kind := range []string{"code id_token", "code token", "code id_token token", "token", "id_token", "id_token token"} {
			back := s.authorize(s.request(kind, "openid offline"))
			for _, part := range strings.Fields(kind) {
				name := map[string]string{"code": "code", "token": "access_token", "id_token": "id_token"}[part]
				if back.Get(name) == "" {
					t.Errorf("%s: %v", kind, back)
				}
			}
			if strings.Contains(kind, "code") {
				if status, tokens := s.exchange(back.Get("code"), ""); status != http.StatusOK || tokens["id_token"] == nil {
					t.Errorf("%s: %d %v", kind, status, tokens)
				}
			}
			if back.Get("access_token") != "" && !s.active(back.Get("access_token")) {
				t.Errorf("%s: the access token is not active", kind)
			}
		}
		for grant, form := range map[string]url.Values{
			"client_credentials": {"scope": {"read"}},
			"password":           {"username": {"alice"}, "password": {"wonderland"}, "scope": {"offline"}},
		} {
			form.Set("grant_type", grant)
			if status, tokens := s.post("/token", stockSecret, form); status != http.StatusOK || !s.active(tokens["access_token"]) {
				t.Errorf("%s: %d %v", grant, status, tokens)
			}
		}
	})
}

// A pushed request keeps what the authorization endpoint needs of it, and is used once.
func TestStockPushedRequests(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		verifier, parameters := challenge()
		for _, mode := range []string{"", "fragment", "form_post"} {
			form := s.request("code", "openid", append(parameters, "response_mode", mode)...)
			status, pushed := s.post("/par", stockSecret, form)
			uri, _ := pushed["request_uri"].(string)
			if status != http.StatusCreated || uri == "" {
				t.Fatalf("%d %v", status, pushed)
			}
			back := s.authorize(url.Values{"client_id": {"app"}, "request_uri": {uri}})
			if mode == "form_post" {
				if !strings.Contains(back.Get("body"), `name="code"`) || !strings.Contains(back.Get("body"), "a long state") {
					t.Errorf("form_post: %v", back)
				}
				continue
			}
			if back.Get("state") != "a long state" {
				t.Errorf("mode %q: %v", mode, back)
			}
			if status, tokens := s.exchange(back.Get("code"), verifier); status != http.StatusOK || tokens["id_token"] == nil {
				t.Errorf("mode %q: %d %v", mode, status, tokens)
			}
			if again := s.authorize(url.Values{"client_id": {"app"}, "request_uri": {uri}}); again.Get("code") != "" {
				t.Errorf("mode %q: used again: %v", mode, again)
			}
		}
	})
}

// A code that is redeemed again ends the tokens of its first redemption (RFC 6749 section 4.1.2).
func TestStockCodeTwice(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		code := s.authorize(s.request("code", "offline")).Get("code")
		status, tokens := s.exchange(code, "")
		if status != http.StatusOK || !s.active(tokens["access_token"]) || !s.active(tokens["refresh_token"]) {
			t.Fatalf("%d %v", status, tokens)
		}
		for range 2 {
			if status, answer := s.exchange(code, ""); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("again: %d %v", status, answer)
			}
		}
		if s.active(tokens["access_token"]) || s.active(tokens["refresh_token"]) {
			t.Error("the tokens are active")
		}
	})
}

// fosite deletes the challenge before it compares the verifier. A code cannot be redeemed without one by sending a wrong one first,
// and its owner can still redeem it.
func TestStockWrongVerifierIsNotTheWayRound(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		verifier, parameters := challenge()
		other, _ := challenge()
		code := s.authorize(s.request("code", "openid", parameters...)).Get("code")
		for name, wrong := range map[string]string{"a wrong verifier": other, "none": "", "another wrong one": other + "x"} {
			if status, answer := s.exchange(code, wrong); status == http.StatusOK {
				t.Errorf("%s: %v", name, answer)
			}
		}
		if status, answer := s.exchange(code, ""); status == http.StatusOK {
			t.Errorf("none after wrong ones: %v", answer)
		}
		if status, answer := s.exchange(code, verifier); status != http.StatusOK {
			t.Errorf("the right one: %d %v", status, answer)
		}
	})
}

// When Redis is away at the moment in which the tokens are stored, the same request succeeds later, although fosite has deleted the
// challenge by then.
func TestStockRetryAfterAnOutage(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		if s.redis.Mini == nil {
			t.Skip("a frozen server takes the whole time-out")
		}
		verifier, parameters := challenge()
		code := s.authorize(s.request("code", "openid", parameters...)).Get("code")
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost/done"}, "code_verifier": {verifier},
		}
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app", stockSecret)
		request, err := s.provider.NewAccessRequest(t.Context(), r, session(""))
		check(err)
		heal := s.redis.Break(t)
		if _, err := s.provider.NewAccessResponse(t.Context(), request); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("in the outage: %v", err)
		}
		heal()
		if status, tokens := s.exchange(code, verifier); status != http.StatusOK || tokens["id_token"] == nil {
			t.Errorf("after it: %d %v", status, tokens)
		}
	})
}

// A code of the time before a password change opens nothing after it.
func TestStockCodeOfAnOldPassword(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		code := s.authorize(s.request("code", "offline")).Get("code")
		password := "looking-glass"
		check(s.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Password: &password}))
		if status, answer := s.exchange(code, ""); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
			t.Errorf("%d %v", status, answer)
		}
	})
}

// Assertions (RFC 7523) are good once, with and without a client that authenticates, and for the scopes of their key.
func TestStockAssertions(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		grant := func(secret, assertion, scope string) (int, map[string]any) {
			return s.post("/token", secret, url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}, "scope": {scope},
			})
		}
		for name, secret := range map[string]string{"with a client": stockSecret, "without a client": ""} {
			for _, kid := range []string{"one", ""} {
				assertion := s.assertion(name+kid, kid)
				status, tokens := grant(secret, assertion, "read")
				if status != http.StatusOK || !s.active(tokens["access_token"]) {
					t.Errorf("%s: %d %v", name, status, tokens)
				}
				if status, answer := grant(secret, assertion, "read"); status == http.StatusOK {
					t.Errorf("%s: used again: %v", name, answer)
				}
			}
			if status, answer := grant(secret, s.assertion(name+"scope", "one"), "offline"); status == http.StatusOK {
				t.Errorf("%s: another scope: %v", name, answer)
			}
			if status, answer := grant(secret, s.assertion(name+"kid", "two"), "read"); status == http.StatusOK {
				t.Errorf("%s: an unknown key: %v", name, answer)
			}
		}
	})
}
