package authserver_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/opgrant/opgrant/storage"
)

const formType = "application/x-www-form-urlencoded"

// reply is a response as tests look at it.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
	closed bool // the connection ends with the answer
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// post sends a form as a client ("" for none); a confidential one authenticates by Basic.
func (ts *testServer) post(path, client string, form ...string) reply {
	ts.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	req, err := http.NewRequestWithContext(ts.t.Context(), http.MethodPost, ts.url+path, nil)
	check(ts.t, err)
	switch client {
	case "":
	case "app", "old", "old-one":
		values.Set("client_id", client)
	default:
		req.SetBasicAuth(client, client+"-secret")
	}
	req.Body = io.NopCloser(strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return ts.do(req)
}

// raw sends a request as it is written. Headers come in pairs; without a Content-Type among them the body is a form.
func (ts *testServer) raw(method, path, body string, headers ...string) reply {
	ts.t.Helper()
	req, err := http.NewRequestWithContext(ts.t.Context(), method, ts.url+path, strings.NewReader(body))
	check(ts.t, err)
	req.Header.Set("Content-Type", formType)
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	return ts.do(req)
}

// as is the Authorization header of a client of the harness, form-encoded as RFC 6749 section 2.3.1 has it.
func as(id string) string { return basic(id, id+"-secret") }

func basic(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header.Get("Authorization")
}

func (ts *testServer) do(req *http.Request) reply {
	ts.t.Helper()
	client := &http.Client{Timeout: hang, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	check(ts.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	check(ts.t, err)
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw), closed: resp.Close}
	_ = json.Unmarshal(raw, &r.body)
	return r
}

func (ts *testServer) login(client string, more ...string) reply {
	ts.t.Helper()
	r := ts.post("/oauth2/token", client, append([]string{"grant_type", "password", "username", "alice", "password", "wonder land"}, more...)...)
	if r.status != http.StatusOK {
		ts.t.Fatalf("login at %s: %d %s", client, r.status, r.raw)
	}
	return r
}

func (ts *testServer) try(client, username, password string) reply {
	ts.t.Helper()
	return ts.post("/oauth2/token", client, "grant_type", "password", "username", username, "password", password)
}

func (ts *testServer) refresh(client, token string, more ...string) reply {
	ts.t.Helper()
	return ts.post("/oauth2/token", client, append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...)
}

func (ts *testServer) active(token string) bool {
	ts.t.Helper()
	r := ts.post("/oauth2/introspect", "rs", "token", token)
	if r.status != http.StatusOK {
		ts.t.Fatalf("introspect: %d %s", r.status, r.raw)
	}
	active, _ := r.body["active"].(bool)
	return active
}

func (ts *testServer) want(what string, r reply, status int, code string) {
	ts.t.Helper()
	if r.status != status || r.text("error") != code {
		ts.t.Errorf("%s: %d %s, want %d %q", what, r.status, r.raw, status, code)
	}
}

func (ts *testServer) addUser(name, password string, active bool) {
	ts.t.Helper()
	check(ts.t, ts.store.Users.AddUser(ts.t.Context(), storage.User{Name: name, Active: active}, password))
}

func decode(raw []byte) map[string]any {
	var body map[string]any
	_ = json.Unmarshal(raw, &body)
	return body
}
