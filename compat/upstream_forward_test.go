package compat_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
		{"caller with invalid credentials", "Basic YTpi", `{"operation":"describe_all"}`, 401, "Login failed", []string{"create_authentication_tokens"}},
		{"operation twice", adminBasic, `{"operation":"a","operation":"drop_user"}`, 400, "Duplicate", nil},
		{"operation that is answered here", adminBasic, `{"operation":"user_info"}`, 200, "HDB_ADMIN", nil},
		{"login, which needs no caller", "", `{"operation":"login","username":"a","password":"b"}`, 400, "login", []string{"login"}},
		{"large body, streamed", adminBasic, large + `}`, 400, "'insert' not found", []string{"insert " + adminBasic}},
		{"large body of an operation that is answered here", adminBasic, strings.Replace(large, "insert", "add_user", 1) + `}`, 413, "too large", nil},
		{"large body without credentials", "", large + `}`, 401, "Must login", nil},
		{"large body with a second operation at its end", adminBasic, large + `,"oper\u0061tion":"drop_user"}`, 400, "Duplicate", nil},
		{"large body with a syntax error at its end", adminBasic, large + `]`, 400, "Unexpected token", nil},
		{"large body with an operation that is not UTF-8", adminBasic, strings.Replace(large, "insert", "insert\xff", 1) + `}`, 400, "did not match Content-Length", nil},
		{"large body that is not an object", adminBasic, "[" + large + `}]`, 413, "too large", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := &fakeUpstream{}
			_, h := withUpstream(t, u, nil)
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
	_, h := withUpstream(t, u, func(c *compat.Config) {
		c.Upstream.Authorization = func(_ context.Context, by compat.Caller) (string, error) { return "Basic for-" + by.Name, nil }
	})
	if w := send(h, adminBasic, `{"operation":"describe_all"}`); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"describe_all Basic for-HDB_ADMIN"}, u.requests()); diff != "" {
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

// deadlineRecorder notes the deadlines that a handler sets.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlineRecorder) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func (d *deadlineRecorder) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

func TestForwardingHasNoDeadlines(t *testing.T) {
	_, h := withUpstream(t, &fakeUpstream{}, nil)
	for operation, want := range map[string][]time.Time{"describe_all": {{}}, "user_info": nil} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"`+operation+`"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", adminBasic)
		w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, r)
		if w.Code != 200 || !cmp.Equal(want, w.read) || !cmp.Equal(want, w.write) {
			t.Errorf("%s: %d, read deadlines %v, write deadlines %v", operation, w.Code, w.read, w.write)
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

func TestUpstreamCookies(t *testing.T) {
	u := &fakeUpstream{}
	_, h := withUpstream(t, u, func(c *compat.Config) {
		c.Upstream.Authorization = func(context.Context, compat.Caller) (string, error) { return "Basic other", nil }
	})
	for body, want := range map[string]int{`{"operation":"describe_all"}`: 200, `{"operation":"user_info"}`: 401} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Cookie", "127_0.0.1:9925-hdb-session=1b671a64-40d5-491e-99b0-da01ff1f3341")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if diff := cmp.Diff([]string{"describe_all"}, u.requests()); diff != "" {
		t.Errorf("the upstream saw (-want +got):\n%s", diff)
	}
}
