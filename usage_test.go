package opgrant_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage/usage"
)

// counted are the calls of each caller in Redis.
func counted(t *testing.T, s *opgrant.Server) (map[usage.Caller]int64, usage.Report) {
	t.Helper()
	if err := s.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := s.Usage.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	calls := map[usage.Caller]int64{}
	for _, e := range report.Entries {
		calls[e.Caller] = e.Count
	}
	return calls, report
}

// Names that nobody has proved are not callers, whatever else a request says.
func TestOnlyVerifiedCallersAreCounted(t *testing.T) {
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch body, _ := io.ReadAll(r.Body); {
		case strings.Contains(string(body), "user_info"): // about the password of a user who is unknown here
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"Login failed"}`)
		case strings.Contains(string(body), "unavailable"):
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(old.Close)
	var issued atomic.Pointer[authserver.TokenIssued]
	s, site := start(t, func(c *opgrant.Config) {
		c.OnTokenIssued = func(i authserver.TokenIssued) { issued.Store(&i) }
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second}
	})
	login := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`
	_, tokens := operate(t, site, "", login)
	operation, _ := tokens["operation_token"].(string)
	refresh, _ := tokens["refresh_token"].(string)
	const verified = 6
	for i, test := range []struct {
		authorization, body string
		status              int
	}{
		{admin, `{"operation":"user_info"}`, 200},
		{"Bearer " + operation, `{"operation":"user_info"}`, 200},
		{"", `{"operation":"refresh_operation_token","refresh_token":"` + refresh + `"}`, 200}, // static
		{"Bearer " + refresh, `{"operation":"refresh_operation_token"}`, 200},
		{admin, `{"operation":"describe_all"}`, 200}, // forwarded

		{admin, `{"operation":"unavailable"}`, 503},
		{"", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"wrong"}`, 401},
		{"", `{"operation":"create_authentication_tokens","username":"ghost","password":"wrong"}`, 401},
		{"", `{"operation":"user_info","username":"ghost","password":"wrong"}`, 401},
		{basicAuth("ghost", "wrong"), `{"operation":"user_info"}`, 401},
		{"Bearer x", `{"operation":"user_info"}`, 401},
		{"", `{"operation":"refresh_operation_token","refresh_token":"x"}`, 401},
		{"", `{"operation":"refresh_operation_token","refresh_token":"` + operation + `"}`, 401},
		{"", `{"operation":"user_info"}`, 401},
		{"", `not JSON`, 400},
	} {
		if status, answer := operate(t, site, test.authorization, test.body); status != test.status {
			t.Errorf("%d: %d %v, want %d", i, status, answer, test.status)
		}
	}
	oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"HDB_ADMIN"}, "password": {"password"}})
	if i := issued.Load(); i == nil || i.Address != "127.0.0.1" {
		t.Errorf("token issued: %+v", i)
	}

	caller := usage.Caller{API: usage.APIOperations, Client: "operations", User: "HDB_ADMIN", UserAgent: "Go-http-client/1.1", Address: "127.0.0.1"}
	standard := caller
	standard.API, standard.Client = usage.APIOAuth, "demo"
	calls, report := counted(t, s)
	if diff := cmp.Diff(map[usage.Caller]int64{caller: verified, standard: 1}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if since := time.Since(report.Since); since < 0 || since > time.Hour {
		t.Errorf("counted since %s", report.Since)
	}
}

// A server without the operations API does not claim that nobody calls it.
func TestServersWithoutTheOperationsAPIDoNotWatchIt(t *testing.T) {
	s, _ := start(t, func(c *opgrant.Config) { c.DisableOperations = true })
	if _, report := counted(t, s); !report.Since.IsZero() {
		t.Errorf("counted since %s", report.Since)
	}
}
