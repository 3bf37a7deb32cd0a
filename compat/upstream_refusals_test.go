package compat_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// answerWith answers an operation with a status and a body, and everything as recorded where the operation is another.
func answerWith(operation string, status int, body string) func(http.ResponseWriter, *http.Request, string) bool {
	return func(w http.ResponseWriter, r *http.Request, asked string) bool {
		if asked != operation {
			return false
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

func TestOnlyRecordedRefusalsAreRefusals(t *testing.T) {
	const info, create = "user_info", "create_authentication_tokens"
	for _, test := range []struct {
		name      string
		operation string
		status    int
		body      string
		asked     []string
	}{
		{"server error", info, 500, `{"error":"Login failed"}`, readOnly},
		{"bad gateway in HTML", info, 502, `<h1>Bad Gateway</h1>`, readOnly},
		{"too many requests", info, 429, `{"error":"Login failed"}`, readOnly},
		{"redirect", info, 307, `{"error":"Login failed"}`, readOnly},
		{"another success", info, 202, `{"username":"olga"}`, readOnly},
		{"401 of a proxy in HTML", info, 401, `<h1>Unauthorized</h1>`, readOnly},
		{"401 with another kind of error", info, 401, `{"error":["Login failed"]}`, readOnly},
		{"403 of a proxy in HTML", info, 403, `<h1>Forbidden</h1>`, readOnly},
		{"HTML", info, 200, `<h1>welcome</h1>`, readOnly},
		{"nothing", info, 200, ``, readOnly},
		{"a list", info, 200, `[{"username":"olga"}]`, readOnly},
		{"another user", info, 200, `{"active":true,"username":"HDB_ADMIN","role":{"id":"super_user","permission":{"super_user":true}}}`, readOnly},
		{"another form of the name", info, 200, `{"active":true,"username":"OLGA"}`, readOnly},
		{"the name under another key", info, 200, `{"active":true,"Username":"olga"}`, readOnly},
		{"two names", info, 200, `{"username":"olga","username":"HDB_ADMIN"}`, readOnly},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := &fakeUpstream{reply: answerWith(test.operation, test.status, test.body)}
			for _, password := range []string{"olgapw", "wrong"} {
				got, err := verifier(t, u).Verify(t.Context(), "olga", password)
				if err == nil || errors.Is(err, compat.ErrInvalid) || got.Name != "" {
					t.Errorf("%+v, %v", got, err)
				} else if strings.Contains(err.Error(), "olga") || strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "failed") {
					t.Errorf("the error repeats what was sent or answered: %v", err)
				}
			}
			if diff := cmp.Diff(append(test.asked, test.asked...), u.operations()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
	// Of create_authentication_tokens, which is asked where user_info is not there.
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"server error":              {500, `{"error":"invalid credentials"}`},
		"another 401":               {401, `{"error":"Login failed"}`},
		"400":                       {400, `{"error":"invalid credentials"}`},
		"403":                       {403, `{"error":"invalid credentials"}`},
		"redirect":                  {301, `{"error":"invalid credentials"}`},
		"HTML":                      {200, `<h1>welcome</h1>`},
		"no token":                  {200, `{"message":"ok"}`},
		"something else as a token": {200, `{"operation_token":"x"}`},
		"a token of another user":   {200, `{"operation_token":"` + upstreamToken("HDB_ADMIN") + `"}`},
	} {
		t.Run("login: "+name, func(t *testing.T) {
			u := &fakeUpstream{}
			u.reply = func(w http.ResponseWriter, r *http.Request, operation string) bool {
				return answerWith(info, 400, `{"error":"Operation 'user_info' not found"}`)(w, r, operation) ||
					answerWith(create, test.status, test.body)(w, r, operation)
			}
			if got, err := verifier(t, u).Verify(t.Context(), "olga", "olgapw"); err == nil || errors.Is(err, compat.ErrInvalid) {
				t.Errorf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(bothFail, u.operations()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// Where user_info says nothing about the credentials, a login does.
func TestTheVerifierLogsInWhereUserInfoIsNotConclusive(t *testing.T) {
	olga := compat.ImportedUser{Name: "olga", Active: true}
	for name, reply := range map[string]func(http.ResponseWriter, *http.Request, string) bool{
		"no such operation": answerWith("user_info", 400, `{"error":"Operation 'user_info' not found"}`),
		"no such path":      answerWith("user_info", 404, `{"error":"Not found"}`),
		"not allowed":       answerWith("user_info", 403, `{"error":"This operation is not authorized"}`),
		"without the header": func(w http.ResponseWriter, r *http.Request, operation string) bool {
			r.Header.Del("Authorization")
			return answerWith("user_info", 401, `{"error":"Must login"}`)(w, r, operation)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := &fakeUpstream{reply: reply}
			v := verifier(t, u)
			got, err := v.Verify(t.Context(), "olga", "olgapw")
			if diff := cmp.Diff(olga, got); diff != "" || err != nil {
				t.Errorf("%v, user (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(bothWays, u.operations()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if _, err := v.Verify(t.Context(), "olga", "wrong"); !errors.Is(err, compat.ErrInvalid) {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
	// A user must not be stored without a role because the old server was busy for a moment.
	u := &fakeUpstream{reply: answerWith("user_info", 503, `{"error":"busy"}`)}
	if got, err := verifier(t, u).Verify(t.Context(), "zoë", "zoëpw"); err == nil || errors.Is(err, compat.ErrInvalid) {
		t.Errorf("user_info fails after the login: %+v, %v", got, err)
	}
}
