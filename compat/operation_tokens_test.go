package compat_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestWithoutAuthenticator(t *testing.T) {
	d := newDirectory(t)
	h, err := compat.New(compat.Config{Token: d})
	if err != nil {
		t.Fatal(err)
	}
	var login struct {
		Operation string `json:"operation_token"`
		Refresh   string `json:"refresh_token"`
	}
	w := send(h, adminBasic, `{"operation":"create_authentication_tokens"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &login); err != nil || w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	tests := []struct {
		name, authorization, body string
		status                    int
		answer                    string
	}{
		{"create with a header that is refused", "Basic YTpi", `{"operation":"create_authentication_tokens"}`, 401, "Login failed"},
		{"create with a token", "Bearer " + login.Operation, `{"operation":"create_authentication_tokens"}`, 200, "operation_token"},
		{"create with an invalid token", "Bearer x", `{"operation":"create_authentication_tokens"}`, 401, "invalid token"},
		{"create without credentials", "", `{"operation":"create_authentication_tokens"}`, 401, "Must login"},
		{"create with a password in the body", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`, 200, "operation_token"},
		{"create with an invalid expires_in", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password","expires_in":"x"}`, 400, "expiresIn"},
		{"refresh with an invalid token", "Bearer x", `{"operation":"refresh_operation_token"}`, 401, "invalid token"},
		{"refresh without a token", "", `{"operation":"refresh_operation_token"}`, 401, "Must login"},
		{"refresh with an operation token", "", `{"operation":"refresh_operation_token","refresh_token":"` + login.Operation + `"}`, 401, "invalid token"},
		{"another operation", adminBasic, `{"operation":"user_info"}`, 400, "'user_info' not found"},
		{"another operation without credentials", "", `{"operation":"user_info"}`, 401, "Must login"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if w := send(h, test.authorization, test.body); w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestOnOperation(t *testing.T) {
	var served []compat.OperationServed
	_, h := withUpstream(t, &fakeUpstream{}, func(c *compat.Config) {
		c.OnOperation = func(_ context.Context, s compat.OperationServed) { served = append(served, s) }
	})
	const login = `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`
	var tokens struct {
		Operation string `json:"operation_token"`
		Refresh   string `json:"refresh_token"`
	}
	if err := json.Unmarshal(send(h, "", login).Body.Bytes(), &tokens); err != nil {
		t.Fatal(err)
	}
	served = nil
	const create, refresh, admin, ghost = "create_authentication_tokens", "refresh_operation_token", "HDB_ADMIN", "ghost"
	for _, test := range []struct {
		name, authorization, body string
		want                      compat.OperationServed
	}{
		{"Basic", adminBasic, `{"operation":"user_info"}`, compat.OperationServed{Operation: "user_info", User: admin, Verified: true, Status: 200}},
		{
			"a token", "Bearer " + tokens.Operation, `{"operation":"user_info"}`,
			compat.OperationServed{Operation: "user_info", User: admin, Verified: true, Status: 200},
		},
		{
			"a password in the body", "", `{"operation":"user_info","username":"HDB_ADMIN","password":"password"}`,
			compat.OperationServed{Operation: "user_info", User: admin, Verified: true, Status: 200},
		},
		{
			"a wrong password in the body", "", `{"operation":"user_info","username":"HDB_ADMIN","password":"wrong"}`,
			compat.OperationServed{Operation: "user_info", Status: 401},
		},
		{
			"forwarded", adminBasic, `{"operation":"describe_all"}`,
			compat.OperationServed{Operation: "describe_all", User: admin, Verified: true, Status: 200, Forwarded: true},
		},
		{
			"a long name", adminBasic, `{"operation":"` + strings.Repeat("x", 100) + `"}`,
			compat.OperationServed{User: admin, Verified: true, Status: 400, Forwarded: true},
		},
		{"no JSON", "", `not JSON`, compat.OperationServed{Status: 400}},
		{"no JSON with Basic", adminBasic, `not JSON`, compat.OperationServed{User: admin, Verified: true, Status: 400}},
		{
			"a refresh", "", `{"operation":"refresh_operation_token","refresh_token":"` + tokens.Refresh + `"}`,
			compat.OperationServed{Operation: refresh, Client: "operations", User: admin, Verified: true, Status: 200},
		},
		{
			"a refresh by Bearer", "Bearer " + tokens.Refresh, `{"operation":"refresh_operation_token"}`,
			compat.OperationServed{Operation: refresh, Client: "operations", User: admin, Verified: true, Status: 200},
		},
		{
			"a refresh by an invalid token", "", `{"operation":"refresh_operation_token","refresh_token":"x"}`,
			compat.OperationServed{Operation: refresh, Client: "operations", Status: 401},
		},
		{"a login", "", login, compat.OperationServed{Operation: create, Client: "operations", User: admin, Verified: true, Status: 200}},
		{
			"a login with a wrong password", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"wrong"}`,
			compat.OperationServed{Operation: create, Client: "operations", User: admin, Status: 401},
		},
		{
			"a login with an invented name", "", `{"operation":"create_authentication_tokens","username":"ghost","password":"x"}`,
			compat.OperationServed{Operation: create, Client: "operations", User: ghost, Status: 401},
		},
		{
			"a login with an invented name beside Basic", adminBasic, `{"operation":"create_authentication_tokens","username":"ghost","password":"x"}`,
			compat.OperationServed{Operation: create, Client: "operations", User: admin, Verified: true, Status: 401},
		},
		{
			"a login by Basic", adminBasic, `{"operation":"create_authentication_tokens"}`,
			compat.OperationServed{Operation: create, Client: "operations", User: admin, Verified: true, Status: 200},
		},
	} {
		served = nil
		send(h, test.authorization, test.body)
		test.want.Address = "192.0.2.1"
		if diff := cmp.Diff([]compat.OperationServed{test.want}, served); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	served = nil
	r := httptest.NewRequest(http.MethodGet, "/api/openapi/rest", nil)
	r.Header.Set("Authorization", adminBasic)
	h.ServeHTTP(httptest.NewRecorder(), r)
	want := compat.OperationServed{User: "HDB_ADMIN", Verified: true, Address: "192.0.2.1", Status: 400, Forwarded: true} // of the fake
	if diff := cmp.Diff([]compat.OperationServed{want}, served); diff != "" {
		t.Errorf("the description (-want +got):\n%s", diff)
	}
}

// counting is an Authenticator that counts the calls of Token.
type counting struct {
	*directory
	tokens *int
}

func (c counting) Token(ctx context.Context, token string) (compat.Caller, compat.TokenKind, error) {
	*c.tokens++
	return c.directory.Token(ctx, token)
}

func TestRefreshWithBearerTokenNeedsNoLookup(t *testing.T) {
	d := newDirectory(t)
	lookups := 0
	h := d.handler(t, func(c *compat.Config) { c.Authenticator = counting{d, &lookups} })
	var login struct {
		Operation string `json:"operation_token"`
		Refresh   string `json:"refresh_token"`
	}
	w := send(h, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &login); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token, body string
		status, lookups   int
	}{
		{"refresh token", login.Refresh, `{"operation":"refresh_operation_token"}`, 200, 0},
		{"operation token", login.Operation, `{"operation":"refresh_operation_token"}`, 400, 1},
		{"invalid token", "x", `{"operation":"refresh_operation_token"}`, 401, 1},
		{"invalid token and a body that is not JSON", "x", `{"operation":`, 401, 1},
		{"another operation", login.Operation, `{"operation":"user_info"}`, 200, 1},
	}
	for _, test := range tests {
		lookups = 0
		if w := send(h, "Bearer "+test.token, test.body); w.Code != test.status || lookups != test.lookups {
			t.Errorf("%s: %d %s after %d lookups, want %d after %d", test.name, w.Code, w.Body, lookups, test.status, test.lookups)
		}
	}
}
