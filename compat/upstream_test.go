package compat_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// oldServer stands in for the server that is being left: it answers as recorded, and lies on demand.
type oldServer struct {
	mu    sync.Mutex
	seen  []string // operation and Authorization of each request
	reply func(w http.ResponseWriter, operation, body string) bool
}

func (o *oldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var op struct{ Operation, Username, Password string }
	_ = json.Unmarshal(body, &op)
	o.mu.Lock()
	o.seen = append(o.seen, strings.TrimSpace(op.Operation+" "+r.Header.Get("Authorization")))
	reply := o.reply
	o.mu.Unlock()
	if reply != nil && reply(w, op.Operation, string(body)) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch op.Operation {
	case "create_authentication_tokens":
		if op.Username != "olga" || op.Password != "olgapw" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid credentials"}`)
			return
		}
		_, _ = io.WriteString(w, `{"operation_token":"`+oldToken("olga")+`","refresh_token":"`+oldToken("olga")+`"}`)
	case "user_info":
		_, _ = io.WriteString(w, `{"active":true,"username":"olga","role":{"permission":{"super_user":false,"dog":{"tables":{}}},"role":"keeper","id":"keeper","__updatedtime__":1790000000000,"__createdtime__":1790000000000}}`)
	case "describe_all":
		_, _ = io.WriteString(w, `{"dog":{}}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"Operation '`+op.Operation+`' not found"}`)
	}
}

func (o *oldServer) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.seen...)
}

// oldToken is a token as the old server makes them, but for its signature.
func oldToken(username string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256","typ":"JWT"}`) + "." + part(`{"username":"`+username+`","super_user":false,"sub":"operation"}`) + ".c2ln"
}

// ImportUser stores what the upstream vouched for.
func (d *directory) ImportUser(ctx context.Context, u compat.ImportedUser) error {
	if u.Role.ID != "" {
		_, _ = d.AddRole(ctx, u.Role)
	}
	return d.AddUser(ctx, compat.User{Name: u.Name, Role: u.Role.ID, Active: u.Active}, u.Password)
}

// moving is a handler with an old server behind it.
func moving(t *testing.T, o *oldServer, change func(*compat.Config)) (*directory, *compat.Handler) {
	t.Helper()
	s := httptest.NewServer(o)
	t.Cleanup(s.Close)
	d := newDirectory(t)
	return d, d.handler(t, func(c *compat.Config) {
		c.Upstream = &compat.Upstream{URL: s.URL, Importer: d, Timeout: 10 * time.Second}
		if change != nil {
			change(c)
		}
	})
}

const adminBasic = "Basic SERCX0FETUlOOnBhc3N3b3Jk"

func send(h http.Handler, authorization, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestForwarding(t *testing.T) {
	large := `{"operation":"insert","records":["` + strings.Repeat("a", 3<<20) + `"]`
	tests := []struct {
		name, authorization, body string
		status                    int
		answer                    string   // a part of it
		seen                      []string // by the old server
	}{
		{"an operation that is not ours, with the caller's header", adminBasic, `{"operation":"describe_all"}`, 200, `{"dog":{}}`, []string{"describe_all " + adminBasic}},
		{"an answer that is an error", adminBasic, `{"operation":"nope"}`, 400, "not found", []string{"nope " + adminBasic}},
		{"nothing of callers who are not known", "", `{"operation":"describe_all"}`, 401, "Must login", nil},
		{"nothing of callers who are refused", "Basic YTpi", `{"operation":"describe_all"}`, 401, "Login failed", []string{"create_authentication_tokens"}},
		{"nothing of an operation twice", adminBasic, `{"operation":"a","operation":"drop_user"}`, 400, "Duplicate", nil},
		{"our operations stay here", adminBasic, `{"operation":"user_info"}`, 200, "HDB_ADMIN", nil},
		{"a login for a cookie, which needs no caller", "", `{"operation":"login","username":"a","password":"b"}`, 400, "login", []string{"login"}},
		{"a body larger than the limit, streamed", adminBasic, large + `}`, 400, "'insert' not found", []string{"insert " + adminBasic}},
		{"a large body of an operation of ours", adminBasic, strings.Replace(large, "insert", "add_user", 1) + `}`, 413, "too large", nil},
		{"a large body of nobody", "", large + `}`, 401, "Must login", nil},
		{"a large body that changes its mind at the end", adminBasic, large + `,"oper\u0061tion":"drop_user"}`, 400, "Duplicate", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := &oldServer{}
			_, h := moving(t, o, nil)
			w := send(h, test.authorization, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			seen := o.requests()
			if len(seen) == 1 && strings.HasPrefix(seen[0], adminBasic) && test.seen == nil {
				seen = nil // the beginning of a body that was cut off: the old server cannot read it
			}
			if diff := cmp.Diff(test.seen, seen); diff != "" {
				t.Errorf("the old server saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForwardingReplacesCredentialsWhereConfigured(t *testing.T) {
	o := &oldServer{}
	_, h := moving(t, o, func(c *compat.Config) {
		c.Upstream.Authorization = func(_ context.Context, by compat.Caller) (string, error) { return "Basic for-" + by.Name, nil }
	})
	if w := send(h, adminBasic, `{"operation":"describe_all"}`); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"describe_all Basic for-HDB_ADMIN"}, o.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestForwardingAnswersForOneServer(t *testing.T) {
	o := &oldServer{reply: func(w http.ResponseWriter, _, _ string) bool {
		w.Header().Set("Server", "HarperDB")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return false
	}}
	_, h := moving(t, o, nil)
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

func TestUpstreamInTrouble(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	slow := func(http.ResponseWriter, string, string) bool { time.Sleep(time.Second); return false }
	for name, test := range map[string]struct {
		url    string
		reply  func(http.ResponseWriter, string, string) bool
		status int
	}{
		"down": {url: "http://" + dead.Addr().String(), status: 502},
		"slow": {reply: slow, status: 504},
	} {
		t.Run(name, func(t *testing.T) {
			_, h := moving(t, &oldServer{reply: test.reply}, func(c *compat.Config) {
				c.Upstream.Timeout = 300 * time.Millisecond
				if test.url != "" {
					c.Upstream.URL = test.url
				}
			})
			w := send(h, adminBasic, `{"operation":"describe_all"}`)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || body.Error == "" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if w := post(h, `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`); w.Code != 200 {
				t.Errorf("a login here does not work meanwhile: %d %s", w.Code, w.Body)
			}
			if w := post(h, `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"wrong"}`); w.Code != 401 {
				t.Errorf("a wrong password of a user who is known here: %d %s", w.Code, w.Body)
			}
			if w := post(h, `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`); w.Code != 503 {
				t.Errorf("nobody knows about a user who is unknown here, and the answer is %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestForwardingOutlivesTheDeadlinesOfTheServer(t *testing.T) {
	_, h := moving(t, &oldServer{reply: func(w http.ResponseWriter, _, _ string) bool {
		for range 4 {
			_, _ = io.WriteString(w, "a row\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		return true
	}}, nil)
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	s.Start()
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
	if body, err := io.ReadAll(resp.Body); err != nil || strings.Count(string(body), "a row") != 4 {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestCookiesAreForTheUpstream(t *testing.T) {
	o := &oldServer{}
	_, h := moving(t, o, func(c *compat.Config) {
		c.Upstream.Authorization = func(context.Context, compat.Caller) (string, error) { return "Basic of-ours", nil }
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
	if diff := cmp.Diff([]string{"describe_all"}, o.requests()); diff != "" {
		t.Errorf("the old server saw (-want +got):\n%s", diff)
	}
}
