package compat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
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
		c.Upstream = &compat.Upstream{URL: s.URL, Importer: d, Timeout: 300 * time.Millisecond}
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
		if diff := cmp.Diff([]string{want}, w.Result().Header.Values(name)); diff != "" { //nolint:bodyclose // nothing was opened
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

func TestLazyMigration(t *testing.T) {
	login := func(name, password string) string {
		return `{"operation":"create_authentication_tokens","username":"` + name + `","password":"` + password + `"}`
	}
	answer := func(body string) func(http.ResponseWriter, string, string) bool {
		return func(w http.ResponseWriter, _, _ string) bool { _, _ = io.WriteString(w, body); return true }
	}
	tests := []struct {
		name     string
		reply    func(http.ResponseWriter, string, string) bool
		login    string
		status   int
		imported *compat.User // nil: nobody
	}{
		{"a user whom the old server knows", nil, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Role: "keeper", Active: true}},
		{"a wrong password there", nil, login("olga", "wrong"), 401, nil},
		{"a user whom nobody knows", nil, login("ghost", "x"), 401, nil},
		{"an old server that says yes to everything and names another user", answer(`{"operation_token":"` + oldToken("HDB_ADMIN") + `","refresh_token":"x"}`), login("olga", "x"), 503, nil},
		{"one that says yes without a token", answer(`{"message":"ok"}`), login("olga", "x"), 503, nil},
		{"one that says yes in HTML", answer(`<h1>welcome</h1>`), login("olga", "x"), 503, nil},
		{"one that fails", func(w http.ResponseWriter, _, _ string) bool { w.WriteHeader(500); return true }, login("olga", "x"), 503, nil},
		{"one that redirects", func(w http.ResponseWriter, _, _ string) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(307)
			return true
		}, login("olga", "x"), 503, nil},
		{"one that tells nothing about roles", func(w http.ResponseWriter, operation, _ string) bool {
			if operation == "user_info" {
				w.WriteHeader(400)
			}
			return operation == "user_info"
		}, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Active: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, h := moving(t, &oldServer{reply: test.reply}, nil)
			if w := post(h, test.login); w.Code != test.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			u, err := d.User(t.Context(), "olga")
			if (err == nil) != (test.imported != nil) {
				t.Fatalf("imported %+v, %v", u, err)
			}
			if test.imported != nil {
				u.Created, u.Updated = time.Time{}, time.Time{}
				if diff := cmp.Diff(*test.imported, u); diff != "" {
					t.Errorf("imported (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestMigratedUsersAreAskedForOnce(t *testing.T) {
	o := &oldServer{}
	d, h := moving(t, o, nil)
	for range 3 {
		if w := send(h, "Basic "+base64.StdEncoding.EncodeToString([]byte("olga:olgapw")), `{"operation":"user_info"}`); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if n := len(o.requests()); n != 2 {
		t.Errorf("the old server was asked %d times: %v", n, o.requests())
	}
	role, err := d.Role(t.Context(), "keeper")
	if err != nil || string(role.Permission) != `{"super_user":false,"dog":{"tables":{}}}` {
		t.Errorf("role %s, %v", role.Permission, err)
	}
}

func TestShadow(t *testing.T) {
	create := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`
	agree := func(w http.ResponseWriter, _, _ string) bool {
		_, _ = io.WriteString(w, `{"operation_token":"theirs","refresh_token":"theirs"}`)
		return true
	}
	tests := []struct {
		name, body string
		reply      func(http.ResponseWriter, string, string) bool
		want       compat.Shadowed
		logged     string
	}{
		{"the same status and shape", create, agree, compat.Shadowed{Outcome: "same", Ours: 200, Theirs: 200}, ""},
		{
			"another status", create, nil,
			compat.Shadowed{Outcome: "differs", Ours: 200, Theirs: 401},
			`status=200 upstream_status=401 shape={operation_token:string,refresh_token:string} upstream_shape={error:string}`,
		},
		{"another shape", create, func(w http.ResponseWriter, _, _ string) bool {
			_, _ = io.WriteString(w, `{"operation_token":"theirs","`+strings.Repeat("secret", 20)+`":1}`)
			return true
		}, compat.Shadowed{Outcome: "differs", Ours: 200, Theirs: 200}, `upstream_shape={?:number,operation_token:string}`},
		{"no answer", create, func(http.ResponseWriter, string, string) bool {
			time.Sleep(time.Second)
			return true
		}, compat.Shadowed{Outcome: "failed", Ours: 200}, "did not answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcomes := make(chan compat.Shadowed, 1)
			var logs lockedBuffer
			_, h := moving(t, &oldServer{reply: test.reply}, func(c *compat.Config) {
				c.Upstream.Shadow, c.Upstream.OnShadow = true, func(s compat.Shadowed) { outcomes <- s }
				c.Log = slog.New(slog.NewTextHandler(&logs, nil))
			})
			if w := send(h, adminBasic, test.body); w.Code != 200 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			test.want.Operation = "create_authentication_tokens"
			select {
			case got := <-outcomes:
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			case <-time.After(3 * time.Second):
				t.Fatal("no outcome")
			}
			if text := logs.String(); !strings.Contains(strings.ReplaceAll(text, `"`, ""), test.logged) || test.logged == "" && text != "" {
				t.Errorf("logged %s", text)
			}
			for _, secret := range []string{"theirs", "secret", ":\"password", "SERCX0"} {
				if strings.Contains(logs.String(), secret) {
					t.Errorf("logged %s", logs.String())
				}
			}
		})
	}
}

func TestShadowNeverWaits(t *testing.T) {
	release := make(chan struct{})
	outcomes := make(chan compat.Shadowed, 100)
	_, h := moving(t, &oldServer{reply: func(http.ResponseWriter, string, string) bool { <-release; return true }}, func(c *compat.Config) {
		c.Upstream.Shadow, c.Upstream.OnShadow = true, func(s compat.Shadowed) { outcomes <- s }
		c.Upstream.Timeout = time.Minute
	})
	for range 20 {
		if w := post(h, `{"operation":"refresh_operation_token","refresh_token":"x"}`); w.Code != 401 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	close(release)
	counts := map[string]int{}
	for range 20 {
		counts[(<-outcomes).Outcome]++
	}
	if counts["dropped"] != 4 {
		t.Errorf("outcomes %v, want 4 dropped and 16 sent", counts)
	}
}

// lockedBuffer is a log that a goroutine may write while the test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
