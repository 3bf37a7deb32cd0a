package compat_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestNewSaysAllThatIsWrong(t *testing.T) {
	d := newDirectory(t)
	_, err := compat.New(compat.Config{Users: d, Upstream: &compat.Upstream{URL: "old.example", Importer: d}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Token", "Roles", "Users needs", "Upstream needs", `"old.example" is not a URL`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if _, err := compat.New(compat.Config{Token: d}); err != nil {
		t.Error("a token endpoint is all it takes: ", err)
	}
}

// outage is an Authenticator, Users and Roles that do not know.
type outage struct {
	*directory
	err error
}

func (o outage) Password(context.Context, compat.Credentials) (compat.Caller, error) {
	return compat.Caller{}, o.err
}

func (o outage) Token(context.Context, string) (compat.Caller, compat.TokenKind, error) {
	return compat.Caller{}, 0, o.err
}

func (o outage) User(context.Context, string) (compat.User, error) { return compat.User{}, o.err }

func (o outage) ListUsers(context.Context) ([]compat.User, error) { return nil, o.err }

func (o outage) ListRoles(context.Context) ([]compat.Role, error) { return nil, o.err }

func (o outage) Role(context.Context, string) (compat.Role, error) { return compat.Role{}, o.err }

func TestTroubleIsNoVerdict(t *testing.T) {
	broken := errors.New("redis: connection refused at 10.0.0.7")
	tests := []struct {
		name                string
		err                 error
		authorization, body string
		status              int
		retry               string
	}{
		{"a password in the header", broken, adminBasic, `{"operation":"user_info"}`, 503, "1"},
		{"a token in the header", broken, "Bearer a.b.c", `{"operation":"user_info"}`, 503, "1"},
		{"a token in the header of a refresh", broken, "Bearer a.b.c", `{"operation":"refresh_operation_token"}`, 503, "1"},
		{"a password in the body", broken, "", `{"operation":"user_info","username":"a","password":"b"}`, 503, "1"},
		{"a time to come back", &compat.RetryError{Err: broken, After: 2500 * time.Millisecond}, adminBasic, `{"operation":"user_info"}`, 503, "3"},
		{"too many failures", &compat.RetryError{Err: compat.ErrThrottled, After: 30 * time.Second}, adminBasic, `{"operation":"user_info"}`, 429, "30"},
		{"too many failures, of whom nobody says more", compat.ErrThrottled, adminBasic, `{"operation":"user_info"}`, 429, "1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDirectory(t)
			h := d.handler(t, func(c *compat.Config) { c.Authenticator = outage{d, test.err} })
			checkTrouble(t, send(h, test.authorization, test.body), test.status, test.retry)
		})
	}
	for _, operation := range []string{"user_info", "list_users", "list_roles", "add_role", "add_user", "drop_role"} {
		t.Run(operation, func(t *testing.T) {
			d := newDirectory(t)
			h := d.handler(t, func(c *compat.Config) { c.Users, c.Roles = outage{d, broken}, outage{d, broken} })
			body := `{"operation":"` + operation + `","role":"r","id":"r","permission":{},"username":"u","password":"p","active":true}`
			if operation == "add_role" || operation == "drop_role" {
				body = `{"operation":"` + operation + `","role":"r","id":"r","permission":{}}`
			}
			checkTrouble(t, send(h, adminBasic, body), 503, "1")
		})
	}
}

func checkTrouble(t *testing.T, w *httptest.ResponseRecorder, status int, retry string) {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == "" || w.Code != status {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Retry-After"); got != retry {
		t.Errorf("Retry-After %q, want %q", got, retry)
	}
	if strings.Contains(w.Body.String(), "redis") {
		t.Errorf("the caller learns of our insides: %s", w.Body)
	}
}

func TestWithoutAuthenticatorTheEndpointJudges(t *testing.T) {
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
		{"create by header, refused", "Basic YTpi", `{"operation":"create_authentication_tokens"}`, 401, "Login failed"},
		{"create by token", "Bearer " + login.Operation, `{"operation":"create_authentication_tokens"}`, 200, "operation_token"},
		{"create by a wrong token", "Bearer x", `{"operation":"create_authentication_tokens"}`, 401, "invalid token"},
		{"create by nobody", "", `{"operation":"create_authentication_tokens"}`, 401, "Must login"},
		{"create in the body", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`, 200, "operation_token"},
		{"a life that is none", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password","expires_in":"x"}`, 400, "expiresIn"},
		{"refresh by a wrong token", "Bearer x", `{"operation":"refresh_operation_token"}`, 401, "invalid token"},
		{"refresh by nobody", "", `{"operation":"refresh_operation_token"}`, 401, "Must login"},
		{"refresh with the wrong kind of token", "", `{"operation":"refresh_operation_token","refresh_token":"` + login.Operation + `"}`, 401, "invalid token"},
		{"another operation", adminBasic, `{"operation":"user_info"}`, 400, "'user_info' not found"},
		{"another operation by nobody", "", `{"operation":"user_info"}`, 401, "Must login"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if w := send(h, test.authorization, test.body); w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestAnnouncesTheEnd(t *testing.T) {
	h := newDirectory(t).handler(t, func(c *compat.Config) {
		c.Deprecation = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		c.Sunset = time.Date(2027, 6, 30, 12, 0, 0, 0, time.FixedZone("", 3600))
		c.Notice = "https://example.org/move"
	})
	want := map[string]string{
		"Deprecation": "@1798761600",
		"Sunset":      "Wed, 30 Jun 2027 11:00:00 GMT",
		"Link":        `<https://example.org/move>; rel="deprecation"; type="text/html"`,
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"an answer":       send(h, adminBasic, `{"operation":"user_info"}`),
		"an error":        send(h, "", `{"operation":"user_info"}`),
		"a header's end":  send(h, "Basic YTpi", `{"operation":"user_info"}`),
		"what is no JSON": send(h, "", `hello`),
	} {
		for header, value := range want {
			if got := w.Header().Get(header); got != value {
				t.Errorf("%s: %s is %q, want %q", name, header, got, value)
			}
		}
	}
	if got := send(newDirectory(t).handler(t, nil), "", `{}`).Header().Get("Deprecation"); got != "" {
		t.Errorf("announced %q by default", got)
	}
}

func TestObserveTellsWhoStillCalls(t *testing.T) {
	var uses []compat.OperationServed
	o := &oldServer{}
	_, h := moving(t, o, func(c *compat.Config) {
		c.OnOperation = func(_ context.Context, u compat.OperationServed) { uses = append(uses, u) }
	})
	send(h, adminBasic, `{"operation":"user_info"}`)
	send(h, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"wrong"}`)
	send(h, adminBasic, `{"operation":"describe_all"}`)
	send(h, adminBasic, `{"operation":"`+strings.Repeat("x", 100)+`"}`)
	send(h, "", `no JSON`)
	var login struct {
		Refresh string `json:"refresh_token"`
	}
	w := send(h, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &login); err != nil {
		t.Fatal(err)
	}
	send(h, "", `{"operation":"refresh_operation_token","refresh_token":"`+login.Refresh+`"}`)
	want := []compat.OperationServed{
		{Operation: "user_info", User: "HDB_ADMIN", Status: 200},
		{Operation: "create_authentication_tokens", Client: "operations", User: "HDB_ADMIN", Status: 401},
		{Operation: "describe_all", User: "HDB_ADMIN", Status: 200, Forwarded: true},
		{User: "HDB_ADMIN", Status: 400, Forwarded: true},
		{Status: 400},
		{Operation: "create_authentication_tokens", Client: "operations", User: "HDB_ADMIN", Status: 200},
		{Operation: "refresh_operation_token", Client: "operations", User: "HDB_ADMIN", Status: 200},
	}
	if diff := cmp.Diff(want, uses); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

func TestOriginsCanBeNarrowed(t *testing.T) {
	h := newDirectory(t).handler(t, func(c *compat.Config) { c.Origins = []string{"https://app.example"} })
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": ""} {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			r := httptest.NewRequest(method, "/", strings.NewReader(`{"operation":"user_info"}`))
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s is allowed to %q", method, origin, got)
			}
			if preflight := method == http.MethodOptions; preflight && (w.Code == 200) != (want != "") {
				t.Errorf("preflight from %s: %d", origin, w.Code)
			}
		}
	}
}

func TestWrongMethodsSayWhatIsRight(t *testing.T) {
	w := httptest.NewRecorder()
	newDirectory(t).handler(t, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/", nil))
	if w.Code != 404 || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHugeHeadersAreRefusedWithoutWords(t *testing.T) {
	w := send(newDirectory(t).handler(t, nil), "Bearer "+strings.Repeat("a", 20000), `{"operation":"user_info"}`)
	if w.Code != 431 || w.Body.Len() != 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// counting counts how often callers are looked up.
type counting struct {
	*directory
	tokens *int
}

func (c counting) Token(ctx context.Context, token string) (compat.Caller, compat.TokenKind, error) {
	*c.tokens++
	return c.directory.Token(ctx, token)
}

func TestRefreshAsBearerAsksTheEndpointAlone(t *testing.T) {
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
		{"a refresh token", login.Refresh, `{"operation":"refresh_operation_token"}`, 200, 0},
		{"an operation token", login.Operation, `{"operation":"refresh_operation_token"}`, 400, 1},
		{"a wrong token", "x", `{"operation":"refresh_operation_token"}`, 401, 1},
		{"a wrong token and a body that is none", "x", `{"operation":`, 401, 1},
		{"another operation", login.Operation, `{"operation":"user_info"}`, 200, 1},
	}
	for _, test := range tests {
		lookups = 0
		if w := send(h, "Bearer "+test.token, test.body); w.Code != test.status || lookups != test.lookups {
			t.Errorf("%s: %d %s after %d lookups, want %d after %d", test.name, w.Code, w.Body, lookups, test.status, test.lookups)
		}
	}
}
