package compat_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestForwarding(t *testing.T) {
	large := `{"operation":"insert","records":["` + strings.Repeat("a", 3<<20) + `"]`
	tests := []struct {
		name, authorization, body string
		status                    int
		answer                    string   // a part of it
		seen                      []string // by the upstream
	}{
		{"operation of the upstream, with the caller's header", adminBasic, `{"operation":"describe_all"}`, 200, `{"dog":{}}`, []string{"describe_all " + adminBasic}},
		{"error of the upstream", adminBasic, `{"operation":"nope"}`, 400, "not found", []string{"nope " + adminBasic}},
		{"caller without credentials", "", `{"operation":"describe_all"}`, 401, "Must login", nil},
		{"caller with invalid credentials", "Basic YTpi", `{"operation":"describe_all"}`, 401, "Login failed", nil},
		{"operation twice", adminBasic, `{"operation":"a","operation":"drop_user"}`, 400, "Duplicate", nil},
		{"operation that is answered here", adminBasic, `{"operation":"user_info"}`, 200, "HDB_ADMIN", nil},
		{"login with a wrong password", "", `{"operation":"login","username":"HDB_ADMIN","password":"b"}`, 401, "Login failed", nil},
		{"login, without cookies", "", `{"operation":"login","username":"HDB_ADMIN","password":"password"}`, 400, "Operation 'login' not found", nil},
		{"logout, without cookies", "", `{"operation":"logout"}`, 401, "Must login", nil},
		{"caller in the body", "", `{"operation":"describe_all","username":"HDB_ADMIN","password":"password"}`, 200, `{"dog":{}}`, []string{"describe_all " + adminBasic}},
		{"caller in the body, not sendable", "", `{"operation":"describe_all","username":"\u20ac","password":"euro"}`, 400, "Use a token", nil},
		{"caller of the old server's own functions", adminBasic, `{"operation":"a","hdb_user":{"role":{}}}`, 400, "'hdb_user' is not allowed", nil},
		{"the same in a nested operation", adminBasic, `{"operation":"export_local","search_operation":{"operation":"sql","hdb_user":{}}}`, 400, "'hdb_user' is not allowed", nil},
		{"large body, streamed", adminBasic, large + `}`, 400, "'insert' not found", []string{"insert " + adminBasic}},
		{"large body of an operation that is answered here", adminBasic, strings.Replace(large, "insert", "add_user", 1) + `}`, 413, "too large", nil},
		{"large body without credentials", "", large + `}`, 413, "too large", nil},
		{"large body with a second operation at its end", adminBasic, large + `,"oper\u0061tion":"drop_user"}`, 400, "Duplicate", nil},
		{"large body with a caller at its end", adminBasic, large + `,"bypass_au\u0074h":true}`, 400, "'bypass_auth' is not allowed", nil},
		{"large body with a nested operation", adminBasic, large + `,"search_operation":{}}`, 400, "'search_operation' is not allowed", nil},
		{"large body of login", adminBasic, strings.Replace(large, "insert", "login", 1) + `}`, 413, "too large", nil},
		{"large body with a syntax error at its end", adminBasic, large + `]`, 400, "Unexpected token", nil},
		{"large body with an operation that is not UTF-8", adminBasic, strings.Replace(large, "insert", "insert\xff", 1) + `}`, 400, "did not match Content-Length", nil},
		{"large body that is not an object", adminBasic, "[" + large + `}]`, 413, "too large", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := &fakeUpstream{}
			d, h := withUpstream(t, u, nil)
			_ = d.AddUser(t.Context(), compat.User{Name: "€", Role: "super_user", Active: true}, "euro")
			w := send(h, test.authorization, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			seen := u.requests()
			if len(seen) == 1 && strings.HasPrefix(seen[0], adminBasic) && test.seen == nil {
				seen = nil // the body was cut off, and the upstream could not read it
			}
			if diff := cmp.Diff(test.seen, seen); diff != "" {
				t.Errorf("the upstream saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForwardingWithOtherCredentials(t *testing.T) {
	u := &fakeUpstream{}
	d, h := withUpstream(t, u, func(c *compat.Config) {
		c.Upstream.Authorization = func(_ context.Context, by compat.Caller) (string, error) { return "Basic for-" + by.Name, nil }
	})
	if w := send(h, adminBasic, `{"operation":"describe_all"}`); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	_ = d.AddUser(t.Context(), compat.User{Name: "€", Role: "super_user", Active: true}, "euro")
	if w := send(h, "", `{"operation":"sql","username":"€","password":"euro"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "'sql' not found") {
		t.Errorf("a caller in the body whose name has no Basic credentials: %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"describe_all Basic for-HDB_ADMIN", "sql Basic for-€"}, u.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestForwardedAnswersHaveEachHeaderOnce(t *testing.T) {
	u := &fakeUpstream{reply: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Server", "HarperDB")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return false
	}}
	_, h := withUpstream(t, u, func(c *compat.Config) { c.Origins = []string{"https://app.example"} })
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"describe_all"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", adminBasic)
	r.Header.Set("Origin", "https://app.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	for name, want := range map[string]string{"Server": "HarperDB", "Access-Control-Allow-Origin": "https://app.example"} {
		if diff := cmp.Diff([]string{want}, w.Result().Header.Values(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestForwardingStreams(t *testing.T) {
	more := make(chan struct{})
	_, h := withUpstream(t, &fakeUpstream{reply: func(w http.ResponseWriter, r *http.Request, _ string) bool {
		for range 3 {
			_, _ = io.WriteString(w, "a row\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-more:
			case <-r.Context().Done():
			}
		}
		return true
	}}, nil)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(`{"operation":"sql"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", adminBasic)
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	row := make([]byte, len("a row\n"))
	for range 3 {
		// The upstream sends the next row only when this one has arrived.
		if _, err := io.ReadFull(resp.Body, row); err != nil || string(row) != "a row\n" {
			t.Fatalf("got %q, %v", row, err)
		}
		more <- struct{}{}
	}
}

func TestChangesOfUsersAtTheUpstreamAreForwarded(t *testing.T) {
	for _, body := range []string{
		`{"operation":"alter_user","username":"olga","active":false}`,
		`{"operation":"drop_user","username":"olga"}`,
	} {
		u := &fakeUpstream{}
		_, h := withUpstream(t, u, nil)
		send(h, adminBasic, body)
		if seen := u.requests(); len(seen) != 1 || !strings.HasSuffix(seen[0], "_user "+adminBasic) {
			t.Errorf("%s: the upstream saw %v", body, seen)
		}
	}
}

// A body in CBOR or MessagePack names its caller as one in JSON does: in the header, or by a name and password inside.
func TestForwardingBinaryBodiesThatNameTheirCaller(t *testing.T) {
	cbor := func(operation, password string) string {
		text := func(s string) string { return string(rune(0x60+len(s))) + s }
		return "\xa3" + text("operation") + text(operation) + text("username") + text("HDB_ADMIN") + text("password") + text(password)
	}
	msgpack := func(operation, password string) string {
		text := func(s string) string { return string([]byte{0xa0 + byte(len(s))}) + s }
		return "\x83" + text("operation") + text(operation) + text("username") + text("HDB_ADMIN") + text("password") + text(password)
	}
	for _, test := range []struct {
		name, contentType, authorization, body string
		cookies                                bool
		status                                 int
		arrives                                []string
	}{
		{"CBOR", "application/cbor", "", cbor("sql", "password"), false, 400, []string{adminBasic}},
		{"MessagePack", "application/x-msgpack", "", msgpack("sql", "password"), false, 400, []string{adminBasic}},
		{"wrong password", "application/cbor", "", cbor("sql", "wrong"), false, 401, nil},
		{"no caller", "application/cbor", "", "\xa1\x69operation\x63sql", false, 401, nil},
		{"wrong password beside a header that is right", "application/cbor", adminBasic, cbor("sql", "wrong"), false, 400, []string{adminBasic}},
		{"login", "application/cbor", "", cbor("login", "password"), true, 400, []string{"login"}},
		{"login with a wrong password", "application/cbor", "", cbor("login", "wrong"), true, 401, nil},
		{"login, without cookies", "application/cbor", "", cbor("login", "password"), false, 415, nil},
		{"an operation that is answered here", "application/cbor", "", cbor("user_info", "password"), false, 415, nil},
	} {
		u := &fakeUpstream{}
		_, h := withUpstream(t, u, func(c *compat.Config) { c.Upstream.Cookies = test.cookies })
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.contentType)
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status { // the fake reads JSON only, and answers 400 to what it does not know
			t.Errorf("%s: %d %s, want %d", test.name, w.Code, w.Body, test.status)
		}
		if got := u.requests(); !slices.Equal(got, test.arrives) {
			t.Errorf("%s: the upstream got %q, want %q", test.name, got, test.arrives)
		}
	}
}
