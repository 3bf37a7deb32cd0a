package authserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver"
)

func introspectionIsForSome(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web").text("access_token")
	const body = "token="
	for name, header := range map[string]string{
		"nobody": "", "unknown": basic("nobody", "x"), "wrong secret": basic("rs", "x"),
		"bearer": "Bearer " + token, "the token itself": "Bearer x",
	} {
		r := ts.raw(http.MethodPost, "/oauth2/introspect", body+token, "Authorization", header)
		if r.status != 401 || r.raw != `{"error":"invalid_client","error_description":"Client authentication failed."}` {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
	ts.want("public client", ts.raw(http.MethodPost, "/oauth2/introspect", body+token+"&client_id=app"), 401, "invalid_client")
	if r := ts.post("/oauth2/introspect", "other", "token", token); r.raw != `{"active":false}` {
		t.Errorf("another client, not on the list: %s", r.raw)
	}
	for _, client := range []string{"web", "rs"} {
		if r := ts.post("/oauth2/introspect", client, "token", token); r.body["active"] != true || r.text("token_use") != "access_token" {
			t.Errorf("%s: %s", client, r.raw)
		}
	}
}

func inactiveSaysNothingElse(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web").text("access_token")
	ts.post("/oauth2/revoke", "web", "token", token)
	for _, token := range []string{token, "x", "..", strings.Repeat("a", 5000), "a b", "x\r\n", token + "x"} {
		if r := ts.post("/oauth2/introspect", "rs", "token", token); r.status != 200 || r.raw != `{"active":false}` {
			t.Errorf("%q: %d %s", token, r.status, r.raw)
		}
	}
}

func revokedEverywhere(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		if r := ts.post("/oauth2/revoke", "web", "token", "unknown"); r.status != 200 {
			t.Errorf("unknown token: %d", r.status)
		}
		replica := *ts
		replica.store, replica.keys = newStore(t, ts.rdb)
		replica.start(func(c *authserver.Config) { c.Issuer = ts.url })
		access, refresh := ts.login("web"), ts.login("web")
		for _, r := range []reply{access, refresh} {
			if !replica.active(r.text("access_token")) {
				t.Fatal("the replica does not know the token")
			}
		}
		ts.post("/oauth2/revoke", "web", "token", access.text("access_token"))
		replica.post("/oauth2/revoke", "web", "token", refresh.text("refresh_token"))
		for _, at := range []*testServer{ts, &replica} {
			if at.active(access.text("access_token")) || at.active(refresh.text("access_token")) {
				t.Error("a revoked token is active at one of the replicas")
			}
		}
		ts.want("refresh elsewhere", ts.refresh("web", refresh.text("refresh_token")), 400, "invalid_grant")
	})
}

func revocationTakesTheSession(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for _, client := range []string{"web", "old"} {
			login, bystander := ts.login(client), ts.login(client)
			second := ts.refresh(client, login.text("refresh_token"))
			if r := ts.post("/oauth2/revoke", "other", "token", second.text("access_token")); r.status != 400 || !ts.active(second.text("access_token")) {
				t.Errorf("%s: another client revokes: %d", client, r.status)
			}
			ts.post("/oauth2/revoke", client, "token", second.text("access_token"))
			if ts.active(second.text("access_token")) || !ts.active(login.text("access_token")) {
				t.Errorf("%s: revoking an access token must end that token alone", client)
			}
			refresh := second.text("refresh_token")
			if refresh == "" {
				refresh = login.text("refresh_token")
			}
			if r := ts.refresh(client, refresh); r.status != 200 {
				t.Errorf("%s: revoking an access token ended the session: %s", client, r.raw)
			} else if r.text("refresh_token") != "" {
				refresh = r.text("refresh_token")
			}
			ts.post("/oauth2/revoke", client, "token", refresh)
			if ts.active(login.text("access_token")) {
				t.Errorf("%s: an access token outlives its refresh token", client)
			}
			ts.want("refresh", ts.refresh(client, refresh), 400, "invalid_grant")
			if !ts.active(bystander.text("access_token")) {
				t.Errorf("%s: another session ended", client)
			}
		}
	})
}

func hintsAreIgnored(t *testing.T) {
	ts := onFake(t)
	for _, hint := range []string{"access_token", "refresh_token", "id_token", "nonsense", "\x00"} {
		login := ts.login("web")
		if r := ts.post("/oauth2/revoke", "web", "token", login.text("refresh_token"), "token_type_hint", hint); r.status != 200 {
			t.Errorf("%q: %d %s", hint, r.status, r.raw)
		}
		if r := ts.post("/oauth2/introspect", "rs", "token", login.text("access_token"), "token_type_hint", hint); r.raw != `{"active":false}` {
			t.Errorf("%q: revoked refresh token leaves %s", hint, r.raw)
		}
	}
}

func metadataIsTrue(t *testing.T) {
	ts := onFake(t)
	const path = "/.well-known/oauth-authorization-server"
	get := func(change func(*http.Request)) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ts.url+path, nil)
		check(t, err)
		change(req)
		return ts.do(req)
	}
	r := get(func(*http.Request) {})
	for name, change := range map[string]func(*http.Request){
		"Host":                   func(r *http.Request) { r.Host = "evil.example" },
		"X-Forwarded-Host":       func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.example") },
		"X-Forwarded-Proto":      func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "gopher") },
		"Forwarded":              func(r *http.Request) { r.Header.Set("Forwarded", "host=evil.example;proto=gopher") },
		"X-Original-URL":         func(r *http.Request) { r.Header.Set("X-Original-URL", "http://evil.example/") },
		"X-Forwarded-Prefix":     func(r *http.Request) { r.Header.Set("X-Forwarded-Prefix", "/evil") },
		"Accept something else":  func(r *http.Request) { r.Header.Set("Accept", "text/html") },
		"a query that says such": func(r *http.Request) { r.URL.RawQuery = "issuer=http://evil.example" },
	} {
		if other := get(change); other.raw != r.raw || other.status != 200 {
			t.Errorf("%s changes the metadata: %d %s", name, other.status, other.raw)
		}
	}
	if r.text("issuer") != ts.url || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", r.raw, r.header)
	}
	for _, name := range []string{"token_endpoint", "introspection_endpoint", "revocation_endpoint"} {
		at := r.text(name)
		if !strings.HasPrefix(at, ts.url+"/") {
			t.Fatalf("%s: %q", name, at)
		}
		if answer := ts.raw(http.MethodPost, strings.TrimPrefix(at, ts.url), "x=1", "Authorization", as("web")); answer.text("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, answer.status, answer.raw)
		}
	}
	grants, _ := r.body["grant_types_supported"].([]any)
	for _, g := range grants {
		answer := ts.raw(http.MethodPost, "/oauth2/token", "grant_type="+g.(string), "Authorization", as("web"))
		if answer.text("error") == "unsupported_grant_type" {
			t.Errorf("%v is named and does not work", g)
		}
	}
	if len(grants) < 4 || slices.Contains(grants, any("authorization_code")) || slices.Contains(grants, any("implicit")) {
		t.Errorf("grants %v", grants)
	}
}

func keySetIsPublic(t *testing.T) {
	ts := onFake(t)
	r := ts.raw(http.MethodGet, "/.well-known/jwks.json", "")
	var set struct{ Keys []map[string]any }
	check(t, json.Unmarshal([]byte(r.raw), &set))
	public := map[string][]string{"RSA": {"e", "n"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	seen, kinds := map[any]bool{}, map[string]bool{}
	for _, k := range set.Keys {
		kind, _ := k["kty"].(string)
		kinds[kind] = true
		if seen[k["kid"]] || k["kid"] == "" || k["use"] != "sig" || k["alg"] == nil {
			t.Errorf("%v", k)
		}
		seen[k["kid"]] = true
		for member := range k {
			if !slices.Contains(append([]string{"kty", "kid", "use", "alg"}, public[kind]...), member) {
				t.Errorf("key %v shows %q", k["kid"], member)
			}
		}
	}
	if len(kinds) != 3 {
		t.Errorf("kinds %v", kinds)
	}
	etag := r.header.Get("ETag")
	if again := ts.raw(http.MethodGet, "/.well-known/jwks.json", "", "If-None-Match", etag); again.status != http.StatusNotModified || again.raw != "" || etag == "" {
		t.Errorf("with ETag: %d", again.status)
	}
	if cache := r.header.Get("Cache-Control"); cache != "public, max-age=300" {
		t.Errorf("Cache-Control: %s", cache)
	}
}

func noCORS(t *testing.T) {
	ts := onFake(t)
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for _, origin := range []string{"https://evil.example", "null"} {
			for _, method := range []string{http.MethodOptions, http.MethodPost} {
				r := ts.raw(method, path, loginBody, "Origin", origin, "Access-Control-Request-Method", "POST", "Authorization", as("web"))
				for name := range r.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s: %s: %s", method, path, name, r.header.Get(name))
					}
				}
			}
		}
	}
}
