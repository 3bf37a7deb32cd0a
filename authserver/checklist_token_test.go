package authserver_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

const loginBody = "grant_type=password&username=alice&password=wonder+land"

func emptyIsAbsent(t *testing.T) {
	ts := onFake(t)
	for body, want := range map[string]int{
		loginBody + "&scope=&audience=&foo=1":                        200,
		loginBody + "&client_secret=":                                200, // beside Basic: absent, so not in two places
		loginBody + "&refresh_token=":                                200,
		"grant_type=password&username=alice&password=&x=wonder+land": 400,
	} {
		if r := ts.raw(http.MethodPost, "/oauth2/token", body, "Authorization", as("web")); r.status != want {
			t.Errorf("%s: %d %s", body, r.status, r.raw)
		}
	}
	if r := ts.raw(http.MethodPost, "/oauth2/introspect", "token=", "Authorization", as("rs")); r.text("error") != "invalid_request" {
		t.Errorf("empty token: %d %s", r.status, r.raw)
	}
}

func basicIsFormDecoded(t *testing.T) {
	ts := onFake(t)
	const id, secret = "a:b+c d%", "s%+:é=&"
	hash, err := authserver.Secrets{}.Hash(t.Context(), []byte(secret))
	check(t, err)
	check(t, ts.store.PutClient(t.Context(), &storage.Client{ID: id, Secrets: []string{string(hash)}, Grants: []string{"client_credentials"}}))
	const body = "grant_type=client_credentials"
	if r := ts.raw(http.MethodPost, "/oauth2/token", body, "Authorization", basic(id, secret)); r.status != 200 {
		t.Errorf("encoded: %d %s", r.status, r.raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.url, nil)
	check(t, err)
	req.SetBasicAuth(id, secret)
	if r := ts.raw(http.MethodPost, "/oauth2/token", body, "Authorization", req.Header.Get("Authorization")); r.status != 401 {
		t.Errorf("not encoded: %d %s", r.status, r.raw)
	}
	for name, header := range map[string]string{"no colon": "Basic YWJj", "no base64": "Basic !!!", "empty": "Basic ", "bad escape": basic("web", "")[:6] + "d2ViOiV6eg=="} {
		if r := ts.raw(http.MethodPost, "/oauth2/token", body, "Authorization", header); r.status != 401 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
}

func answersAreNotStored(t *testing.T) {
	ts := onFake(t)
	login := ts.login("web")
	for name, r := range map[string]reply{
		"login":         login,
		"refresh":       ts.refresh("web", login.text("refresh_token")),
		"machine":       ts.post("/oauth2/token", "web", "grant_type", "client_credentials"),
		"introspection": ts.post("/oauth2/introspect", "rs", "token", login.text("access_token")),
		"inactive":      ts.post("/oauth2/introspect", "rs", "token", "x"),
		"revocation":    ts.post("/oauth2/revoke", "web", "token", "x"),
		"refused":       ts.post("/oauth2/token", "web", "grant_type", "x"),
	} {
		checkHeaders(t, r, 200)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func expiresInIsTrue(t *testing.T) {
	ts := onFake(t)
	now := time.Now()
	ts.start(func(c *authserver.Config) { c.Now = func() time.Time { return now } })
	check(t, ts.store.PutClient(t.Context(), &storage.Client{ID: "brief", Public: true, Grants: []string{"password"}, AccessTTL: storage.Duration(90 * time.Second)}))
	for _, r := range []reply{ts.login("web"), ts.login("old"), ts.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=brief")} {
		seen := ts.post("/oauth2/introspect", "rs", "token", r.text("access_token"))
		in, _ := r.body["expires_in"].(float64)
		exp, _ := seen.body["exp"].(float64)
		if off := exp - float64(now.Unix()) - in; in < 1 || off != 0 {
			t.Errorf("expires_in %v is off by %vs", in, off)
		}
		if !strings.EqualFold(r.text("token_type"), "bearer") {
			t.Errorf("token_type %q", r.text("token_type"))
		}
	}
}

func scopeIsTold(t *testing.T) {
	ts := onFake(t)
	for asked, want := range map[string]string{"": "read write", "read": "read", "write read": "write read"} {
		if r := ts.login("web", "scope", asked); r.text("scope") != want {
			t.Errorf("asked %q, told %q, want %q", asked, r.text("scope"), want)
		}
	}
	if r := ts.login("other"); r.body["scope"] != nil {
		t.Errorf("a client without scopes is told %q", r.text("scope"))
	}
}

func errorsEchoNothing(t *testing.T) {
	ts := onFake(t)
	allowed := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`)
	const poison = "CANARY<script>\r\nX-Evil: 1\x00\u2028\"\\"
	bodies := []map[string]string{
		{"grant_type": poison},
		{"grant_type": "password", "username": poison, "password": poison},
		{"grant_type": "password", "username": "alice", "password": "wonder land", "scope": poison},
		{"grant_type": "password", "username": "alice", "password": "wonder land", "audience": poison},
		{"grant_type": "refresh_token", "refresh_token": poison},
		{"grant_type": "client_credentials", "scope": "CANARY"},
		{"grant_type": exchangeGrant, "subject_token": poison, "subject_token_type": poison},
		{"grant_type": jwtBearerGrant, "assertion": poison},
		{"grant_type": "client_credentials", "client_assertion_type": poison, "client_assertion": poison},
		{poison: poison},
	}
	for _, body := range bodies {
		var form []string
		for k, v := range body {
			form = append(form, k, v)
		}
		for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
			for _, client := range []string{"web", "old", "CANARY"} {
				r := ts.post(path, client, form...)
				if r.status < 400 || r.status >= 500 {
					t.Errorf("%s %v: %d %s", path, body, r.status, r.raw)
				}
				if strings.Contains(r.raw, "CANARY") || r.header.Get("X-Evil") != "" {
					t.Errorf("%s echoes: %s", path, r.raw)
				}
				if d := r.text("error_description"); !allowed.MatchString(d) || !allowed.MatchString(r.text("error")) {
					t.Errorf("characters of %q", r.raw)
				}
			}
		}
	}
}
