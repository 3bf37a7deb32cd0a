package compat_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// outage is an Authenticator, Users and Roles that return err.
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

func TestUnavailable(t *testing.T) {
	broken := errors.New("redis: connection refused at 10.0.0.7")
	tests := []struct {
		name                string
		err                 error
		authorization, body string
		status              int
		retry               string
	}{
		{"password in the header", broken, adminBasic, `{"operation":"user_info"}`, 503, "1"},
		{"token in the header", broken, "Bearer a.b.c", `{"operation":"user_info"}`, 503, "1"},
		{"token in the header of a refresh", broken, "Bearer a.b.c", `{"operation":"refresh_operation_token"}`, 503, "1"},
		{"password in the body", broken, "", `{"operation":"user_info","username":"a","password":"b"}`, 503, "1"},
		{"with a time to retry", &compat.RetryError{Err: broken, After: 2500 * time.Millisecond}, adminBasic, `{"operation":"user_info"}`, 503, "3"},
		{"throttled", &compat.RetryError{Err: compat.ErrThrottled, After: 30 * time.Second}, adminBasic, `{"operation":"user_info"}`, 429, "30"},
		{"throttled, without a time to retry", compat.ErrThrottled, adminBasic, `{"operation":"user_info"}`, 429, "1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDirectory(t)
			h := d.handler(t, func(c *compat.Config) { c.Authenticator = outage{d, test.err} })
			checkUnavailable(t, send(h, test.authorization, test.body), test.status, test.retry)
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
			checkUnavailable(t, send(h, adminBasic, body), 503, "1")
		})
	}
}

func checkUnavailable(t *testing.T, w *httptest.ResponseRecorder, status int, retry string) {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == "" || w.Code != status {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Retry-After"); got != retry {
		t.Errorf("Retry-After %q, want %q", got, retry)
	}
	if strings.Contains(w.Body.String(), "redis") {
		t.Errorf("the answer reveals the cause: %s", w.Body)
	}
}
