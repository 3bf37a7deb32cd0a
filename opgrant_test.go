package opgrant_test

import (
	"net/url"
	"testing"

	"github.com/opgrant/opgrant"
)

func TestOperationTokensAreIssuedAndRefreshed(t *testing.T) {
	_, site := start(t, nil)
	status, tokens := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	if status != 200 || len(tokens) != 2 {
		t.Fatalf("create: %d %v", status, tokens)
	}
	body := `{"operation":"refresh_operation_token","refresh_token":"` + tokens["refresh_token"].(string) + `"}`
	for range 5 {
		status, refreshed := operate(t, site, "", body)
		if status != 200 || len(refreshed) != 1 || refreshed["operation_token"] == "" {
			t.Errorf("refresh: %d %v", status, refreshed)
		}
	}
}

func TestAChangedUserLosesTheTokensOfBothAPIs(t *testing.T) {
	tests := []struct {
		name, change string
	}{
		{"a changed password", `{"operation":"alter_user","username":"alice","password":"another"}`},
		{"a disabled user", `{"operation":"alter_user","username":"alice","active":false}`},
		{"a dropped user", `{"operation":"drop_user","username":"alice"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, site := start(t, nil)
			operation, refresh := loginAlice(t, site)
			status, moved := oauth(t, site, "/oauth2/token", url.Values{
				"grant_type": {"password"}, "username": {"alice"}, "password": {"alicepw"},
			})
			if status != 200 {
				t.Fatalf("OAuth login: %d %v", status, moved)
			}
			if status, members := oauth(t, site, "/oauth2/introspect", url.Values{"token": {operation}}); status != 200 || members["active"] != true {
				t.Fatalf("introspection before: %d %v", status, members)
			}
			if status, members := operate(t, site, admin, test.change); status != 200 {
				t.Fatalf("change: %d %v", status, members)
			}
			if status, members := operate(t, site, "Bearer "+operation, `{"operation":"user_info"}`); status != 401 {
				t.Errorf("operation token: %d %v", status, members)
			}
			if status, members := operate(t, site, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`); status != 401 {
				t.Errorf("refresh token: %d %v", status, members)
			}
			for _, token := range []any{operation, refresh, moved["access_token"], moved["refresh_token"]} {
				if _, members := oauth(t, site, "/oauth2/introspect", url.Values{"token": {token.(string)}}); members["active"] != false {
					t.Errorf("introspection: %v", members)
				}
			}
			status, members := oauth(t, site, "/oauth2/token", url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {moved["refresh_token"].(string)},
			})
			if status != 400 || members["error"] != "invalid_grant" {
				t.Errorf("OAuth refresh: %d %v", status, members)
			}
		})
	}
}

func TestTokenExchangeMovesASessionToOAuth(t *testing.T) {
	_, site := start(t, nil)
	operation, refresh := loginAlice(t, site)
	status, moved := oauth(t, site, "/oauth2/token", url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {refresh}, "subject_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"},
	})
	if status != 200 || moved["refresh_token"] == "" || moved["access_token"] == "" {
		t.Fatalf("exchange: %d %v", status, moved)
	}
	if status, members := oauth(t, site, "/oauth2/introspect", url.Values{"token": {moved["access_token"].(string)}}); status != 200 || members["sub"] != "alice" {
		t.Errorf("introspection of the new token: %d %v", status, members)
	}
	if status, members := operate(t, site, "Bearer "+moved["access_token"].(string), `{"operation":"user_info"}`); status != 401 {
		t.Errorf("the operations API accepts a token for other servers: %d %v", status, members)
	}
	if status, members := oauth(t, site, "/oauth2/revoke", url.Values{"token": {operation}}); status != 400 || members["error"] != "invalid_grant" {
		t.Errorf("revocation of a token of the operations client: %d %v", status, members)
	}
}

func TestBasicOnEachRequestIsHashedOnce(t *testing.T) {
	s, site := start(t, nil)
	operate(t, site, admin, `{"operation":"user_info"}`)
	before := s.Store.Users.PasswordRuns()
	for range 20 {
		if status, members := operate(t, site, admin, `{"operation":"user_info"}`); status != 200 {
			t.Fatalf("%d %v", status, members)
		}
	}
	if runs := s.Store.Users.PasswordRuns() - before; runs > 1 {
		t.Errorf("%d hashes for 20 requests", runs)
	}
	if status, _ := operate(t, site, admin, `{"operation":"alter_user","username":"HDB_ADMIN","password":"changed"}`); status != 200 {
		t.Fatal("the password was not changed")
	}
	if status, _ := operate(t, site, admin, `{"operation":"user_info"}`); status != 401 {
		t.Errorf("the old password is still accepted: %d", status)
	}
}

func TestFailuresAreThrottledForBothAPIsTogether(t *testing.T) {
	_, site := start(t, func(c *opgrant.Config) { c.Storage.Throttle.PerUserNetwork = 3 })
	guess := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"guess"}`
	for i := range 3 {
		if status, members := operate(t, site, "", guess); status != 401 {
			t.Fatalf("guess %d: %d %v", i, status, members)
		}
	}
	if status, _ := operate(t, site, admin, `{"operation":"user_info"}`); status != 429 {
		t.Errorf("Basic: %d", status)
	}
	if status, _ := oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"HDB_ADMIN"}, "password": {"password"}}); status != 429 {
		t.Errorf("OAuth login: %d", status)
	}
}
