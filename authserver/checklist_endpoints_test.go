package authserver_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opgrant/opgrant/authserver"
)

func introspectionIsForSome(t *testing.T) {
	w := onFake(t)
	token := w.login("web").text("access_token")
	const body = "token="
	for name, header := range map[string]string{
		"nobody": "", "unknown": basic("nobody", "x"), "wrong secret": basic("rs", "x"),
		"bearer": "Bearer " + token, "the token itself": "Bearer x",
	} {
		r := w.raw(http.MethodPost, "/oauth2/introspect", body+token, "Authorization", header)
		if r.status != 401 || r.raw != `{"error":"invalid_client","error_description":"Client authentication failed."}` {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
	w.want("public client", w.raw(http.MethodPost, "/oauth2/introspect", body+token+"&client_id=app"), 401, "invalid_client")
	if r := w.post("/oauth2/introspect", "other", "token", token); r.raw != `{"active":false}` {
		t.Errorf("another client, not on the list: %s", r.raw)
	}
	for _, client := range []string{"web", "rs"} {
		if r := w.post("/oauth2/introspect", client, "token", token); r.body["active"] != true || r.text("token_use") != "access_token" {
			t.Errorf("%s: %s", client, r.raw)
		}
	}
}

func inactiveSaysNothingElse(t *testing.T) {
	w := onFake(t)
	token := w.login("web").text("access_token")
	w.post("/oauth2/revoke", "web", "token", token)
	for _, token := range []string{token, "x", "..", strings.Repeat("a", 5000), "a b", "x\r\n", token + "x"} {
		if r := w.post("/oauth2/introspect", "rs", "token", token); r.status != 200 || r.raw != `{"active":false}` {
			t.Errorf("%q: %d %s", token, r.status, r.raw)
		}
	}
}

func revokedEverywhere(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		if r := w.post("/oauth2/revoke", "web", "token", "unknown"); r.status != 200 {
			t.Errorf("unknown token: %d", r.status)
		}
		replica := *w
		replica.store, replica.keys = newStore(t, w.rdb)
		replica.start(func(c *authserver.Config) { c.Issuer = w.url })
		access, refresh := w.login("web"), w.login("web")
		for _, r := range []reply{access, refresh} {
			if !replica.active(r.text("access_token")) {
				t.Fatal("the replica does not know the token")
			}
		}
		w.post("/oauth2/revoke", "web", "token", access.text("access_token"))
		replica.post("/oauth2/revoke", "web", "token", refresh.text("refresh_token"))
		for _, at := range []*world{w, &replica} {
			if at.active(access.text("access_token")) || at.active(refresh.text("access_token")) {
				t.Error("a revoked token is active at one of the replicas")
			}
		}
		w.want("refresh elsewhere", w.refresh("web", refresh.text("refresh_token")), 400, "invalid_grant")
	})
}

func revocationTakesTheSession(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		for _, client := range []string{"web", "old"} {
			login, bystander := w.login(client), w.login(client)
			second := w.refresh(client, login.text("refresh_token"))
			if r := w.post("/oauth2/revoke", "other", "token", second.text("access_token")); r.status != 200 || !w.active(second.text("access_token")) {
				t.Errorf("%s: another client revokes: %d", client, r.status)
			}
			w.post("/oauth2/revoke", client, "token", second.text("access_token"))
			if w.active(second.text("access_token")) || !w.active(login.text("access_token")) {
				t.Errorf("%s: revoking an access token must end that token alone", client)
			}
			refresh := second.text("refresh_token")
			if refresh == "" {
				refresh = login.text("refresh_token")
			}
			if r := w.refresh(client, refresh); r.status != 200 {
				t.Errorf("%s: revoking an access token ended the session: %s", client, r.raw)
			} else if r.text("refresh_token") != "" {
				refresh = r.text("refresh_token")
			}
			w.post("/oauth2/revoke", client, "token", refresh)
			if w.active(login.text("access_token")) {
				t.Errorf("%s: an access token outlives its refresh token", client)
			}
			w.want("refresh", w.refresh(client, refresh), 400, "invalid_grant")
			if !w.active(bystander.text("access_token")) {
				t.Errorf("%s: another session ended", client)
			}
		}
	})
}

func hintsAreIgnored(t *testing.T) {
	w := onFake(t)
	for _, hint := range []string{"access_token", "refresh_token", "id_token", "nonsense", "\x00"} {
		login := w.login("web")
		if r := w.post("/oauth2/revoke", "web", "token", login.text("refresh_token"), "token_type_hint", hint); r.status != 200 {
			t.Errorf("%q: %d %s", hint, r.status, r.raw)
		}
		if r := w.post("/oauth2/introspect", "rs", "token", login.text("access_token"), "token_type_hint", hint); r.raw != `{"active":false}` {
			t.Errorf("%q: revoked refresh token leaves %s", hint, r.raw)
		}
	}
}

func metadataIsTrue(t *testing.T) {
	w := onFake(t)
	const path = "/.well-known/oauth-authorization-server"
	get := func(change func(*http.Request)) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		check(t, err)
		change(req)
		return w.do(req)
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
	if r.text("issuer") != w.url || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", r.raw, r.header)
	}
	for _, name := range []string{"token_endpoint", "introspection_endpoint", "revocation_endpoint"} {
		at := r.text(name)
		if !strings.HasPrefix(at, w.url+"/") {
			t.Fatalf("%s: %q", name, at)
		}
		if answer := w.raw(http.MethodPost, strings.TrimPrefix(at, w.url), "x=1", "Authorization", as("web")); answer.text("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, answer.status, answer.raw)
		}
	}
	grants, _ := r.body["grant_types_supported"].([]any)
	for _, g := range grants {
		answer := w.raw(http.MethodPost, "/oauth2/token", "grant_type="+g.(string), "Authorization", as("web"))
		if answer.text("error") == "unsupported_grant_type" {
			t.Errorf("%v is named and does not work", g)
		}
	}
	if len(grants) < 4 || slices.Contains(grants, any("authorization_code")) || slices.Contains(grants, any("implicit")) {
		t.Errorf("grants %v", grants)
	}
}

func keySetIsPublic(t *testing.T) {
	w := onFake(t)
	r := w.raw(http.MethodGet, "/.well-known/jwks.json", "")
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
	if again := w.raw(http.MethodGet, "/.well-known/jwks.json", "", "If-None-Match", etag); again.status != http.StatusNotModified || again.raw != "" || etag == "" {
		t.Errorf("with ETag: %d", again.status)
	}
	if cache := r.header.Get("Cache-Control"); cache != "public, max-age=300" {
		t.Errorf("Cache-Control: %s", cache)
	}
}

func noCORS(t *testing.T) {
	w := onFake(t)
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for _, origin := range []string{"https://evil.example", "null"} {
			for _, method := range []string{http.MethodOptions, http.MethodPost} {
				r := w.raw(method, path, loginBody, "Origin", origin, "Access-Control-Request-Method", "POST", "Authorization", as("web"))
				for name := range r.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s: %s: %s", method, path, name, r.header.Get(name))
					}
				}
			}
		}
	}
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

func logsHoldNoSecret(t *testing.T) {
	w := onFake(t)
	log := &lockedBuffer{}
	w.start(func(c *authserver.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.addUser("canary", "CANARY-right", true)
	login := w.try("web", "canary", "CANARY-right")
	secrets := []string{"CANARY", "web-secret", login.text("access_token"), login.text("refresh_token")}
	w.try("web", "canary", "CANARY-wrong")
	w.raw(http.MethodPost, "/oauth2/token", loginBody, "Authorization", basic("web", "CANARY-secret"))
	w.raw(http.MethodPost, "/oauth2/token?password=CANARY", loginBody)
	w.refresh("other", login.text("refresh_token"))
	w.refresh("web", login.text("refresh_token")+"CANARY")
	w.refresh("web", login.text("access_token"))
	w.post("/oauth2/introspect", "rs", "token", "CANARY."+login.text("access_token"))
	w.post("/oauth2/revoke", "other", "token", login.text("access_token"))
	w.post("/oauth2/token", "web", "grant_type", "CANARY", "scope", "CANARY", "audience", "CANARY")
	w.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", "CANARY", "subject_token_type", "CANARY")
	w.post("/oauth2/token", "web", "grant_type", assertionGrant, "assertion", "CANARY.CANARY.CANARY")
	check(t, w.rdb.FlushAll(t.Context()).Err())
	w.try("web", "canary", "CANARY-right")
	text := log.String()
	if len(text) < 500 {
		t.Fatalf("hardly a log: %s", text)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log holds %q", s)
		}
	}
}

func logsCannotBeForged(t *testing.T) {
	w := onFake(t)
	log := &lockedBuffer{}
	w.start(func(c *authserver.Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	const evil = "x\r\n{\"level\":\"ERROR\"}\n\x1b[31m\u2028\u2029\x00"
	const requests = 4
	w.try("web", evil, evil)
	w.refresh("web", evil)
	w.post("/oauth2/revoke", evil, "token", evil)
	w.post("/oauth2/introspect", "rs", evil, evil)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != requests {
		t.Errorf("%d lines for %d requests", len(lines), requests)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) || strings.ContainsAny(line, "\r\x1b\u2028\u2029\x00") {
			t.Errorf("line %q", line)
		}
	}
}
