package authserver_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/redis/go-redis/v9"
)

// What Redis is asked for a token: if its signature is not valid, the client's record and sometimes the keys; otherwise also
// its session, by a key of one form.
var (
	withoutSession = regexp.MustCompile(`^(get opgrant:c:[\w-]{22}|get opgrant:keys|get opgrant:epoch(:2)?|time|smembers opgrant:\{roles\}:supers)$`)
	withSession    = regexp.MustCompile(`(?s)^(mget opgrant:u:\{[\w-]{22}\} opgrant:g:\{[\w-]{22}\} opgrant:s\{[\w-]{3}\}.{1,48} opgrant:s:\{[\w-]{22}\}:[\w-]{22}|get opgrant:p:([\w-]{16}|[\w-]{43}))$`)
)

// Items 52 to 54 of the checklist (RFC 8725 sections 3.1, 3.2 and 3.10, RFC 7515 section 4.1.11).
func TestForgedTokensAreInactive(t *testing.T) {
	ts := newTestServer(t, storagetest.StartMiniredis(t).Client(t))
	sent := &redisCommands{}
	ts.rdb.(*redis.Client).AddHook(sent)
	jku, connections := listening(t)
	standard, legacy, es := ts.login("web"), ts.login("old"), ts.login("es")
	list := forgeries(t, ts, standard.text("access_token"), legacy.text("access_token"), es.text("access_token"), jku)
	for name, token := range respellings(legacy.text("refresh_token")) {
		list["legacy refresh token: "+name] = token
	}
	sent.take()
	work := make(chan string)
	var all sync.WaitGroup
	for range 8 { // a token with an unknown kid waits for the store
		all.Go(func() {
			for name := range work {
				ts.wantRefused(name, list[name])
			}
		})
	}
	for name := range list {
		work <- name
	}
	close(work)
	all.Wait()
	looks := 0
	for _, command := range sent.take() {
		if !withoutSession.MatchString(command) {
			t.Errorf("Redis was asked %.200q", command)
		}
		if command == "get opgrant:keys" {
			looks++
		}
	}
	t.Logf("%d forgeries, %d looks at the keys", len(list), looks)
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to what tokens name", n)
	}
	for _, r := range []reply{standard, legacy, es} {
		if !ts.active(r.text("access_token")) {
			t.Error("a valid token is no longer active")
		}
	}
}

// wantRefused sends a token to every endpoint that takes one.
func (ts *testServer) wantRefused(name, token string) {
	ts.t.Helper()
	if r := ts.post("/oauth2/introspect", "rs", "token", token); r.status != 200 || r.raw != `{"active":false}` {
		ts.t.Errorf("%s: %d %.200s", name, r.status, r.raw)
	}
	ts.want(name+" as refresh token", ts.refresh("old", token), 400, "invalid_grant")
	ts.want(name+" exchanged", ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", typeAccess), 400, "invalid_request")
	if r := ts.post("/oauth2/revoke", "web", "token", token); r.status != 200 {
		ts.t.Errorf("%s revoked: %d %s", name, r.status, r.raw)
	}
}

// A revoked token has no other spelling that is valid.
func TestRevokedTokensHaveNoOtherSpelling(t *testing.T) {
	ts := onFake(t)
	token := ts.login("es").text("access_token")
	ts.post("/oauth2/revoke", "es", "token", token)
	list := respellings(token)
	list["as it was"] = token
	for name, other := range es256Variants(t, token) {
		list[name] = other
	}
	for name, other := range list {
		if r := ts.post("/oauth2/introspect", "rs", "token", other); r.raw != `{"active":false}` {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
}

// Item 55 (RFC 9068 section 4, RFC 8725 sections 3.8 to 3.12): tokens that the server's own key signed, with claims that
// the server never signs.
func TestSignedTokensWithWrongClaimsAreInactive(t *testing.T) {
	ts := onFake(t)
	sent := &redisCommands{}
	ts.rdb.(*redis.Client).AddHook(sent)
	standard, legacy := ts.login("web").text("access_token"), ts.login("old").text("access_token")
	rs, err := ts.keys.Signer("RS256")
	check(t, err)
	now := time.Now().Unix()
	raw := func(name, value string) func(string) string { // a claim as it stands in JSON
		return func(claims string) string {
			return regexp.MustCompile(`"`+name+`":("[^"]*"|\d+|true|false|\[[^]]*\])`).ReplaceAllLiteralString(claims, `"`+name+`":`+value)
		}
	}
	add := func(member string) func(string) string {
		return func(claims string) string { return claims[:len(claims)-1] + "," + member + "}" }
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	rows := []struct {
		name   string
		typ    any
		change func(claims string) string
		legacy bool // for the legacy profile too
	}{
		{"no type", nil, nil, true},
		{"empty type", "", nil, true},
		{"type of an ID token", "id+jwt", nil, true},
		{"type in another case", "AT+JWT", nil, true},
		{"type as a media type", "application/at+jwt", nil, true},
		{"type of a logout token", "logout+jwt", nil, true},
		{"type that is not a string", []string{"at+jwt"}, nil, true},
		{"expired", "", raw("exp", number(now-1)), true},
		{"expired for long", "", raw("exp", "1"), true},
		{"exp zero", "", raw("exp", "0"), true},
		{"exp negative", "", raw("exp", "-1"), true},
		{"exp as text", "", raw("exp", `"`+number(now+3600)+`"`), true},
		{"exp a list", "", raw("exp", "["+number(now+3600)+"]"), true},
		{"exp null", "", raw("exp", "null"), true},
		{"exp true", "", raw("exp", "true"), true},
		{"exp beyond numbers", "", raw("exp", "1e400"), true},
		{"exp renamed", "", func(c string) string { return strings.Replace(c, `"exp"`, `"Exp"`, 1) }, true},
		{"not before in an hour", "", add(`"nbf":` + number(now+3600)), true},
		{"nbf as text", "", add(`"nbf":"0"`), true},
		{"nbf a list", "", add(`"nbf":[]`), true},
		{"issued in an hour", "", raw("iat", number(now+3600)), true},
		{"iat as text", "", raw("iat", `"x"`), true},
		{"another issuer", "", raw("iss", `"https://evil.example"`), false},
		{"issuer with a slash", "", raw("iss", `"`+ts.url+`/"`), false},
		{"issuer in another case", "", raw("iss", `"HTTP`+ts.url[4:]+`"`), false},
		{"issuer a list", "", raw("iss", `["`+ts.url+`"]`), false},
		{"no issuer", "", raw("iss", "null"), false},
		{"no session", "", raw("sid", "null"), false},
		{"session a list", "", raw("sid", `["x"]`), true},
		{"session of a Redis key", "", raw("sid", `"x}:y{"`), true},
		{"session with a glob", "", raw("sid", `"*"`), true},
		{"session too long", "", raw("sid", `"`+strings.Repeat("a", 4000)+`"`), true},
		{"session with line ends", "", raw("sid", `"\r\nFLUSHALL\r\n"`), true},
		{"session that does not exist", "", raw("sid", `"`+strings.Repeat("a", 44)+`"`), true},
		{"subject a list", "", raw("sub", `["alice"]`), true},
		{"subject an object", "", raw("sub", `{}`), true},
		{"claims a list", "", func(string) string { return `[]` }, true},
		{"claims null", "", func(string) string { return `null` }, true},
		{"claims no JSON", "", func(string) string { return `{` }, true},
		{"claims twice", "", func(c string) string { return c + c }, true},
	}
	for _, row := range rows {
		for kind, good := range map[string]string{"at+jwt": standard, "JWT": legacy} {
			if kind == "JWT" && !row.legacy {
				continue
			}
			header := map[string]any{"alg": "RS256", "kid": rs.ID, "typ": kind}
			if row.change == nil {
				header["typ"] = row.typ
			}
			payload := segmentOf(t, good, 1)
			if row.change != nil {
				if payload = row.change(payload); payload == segmentOf(t, good, 1) {
					t.Fatalf("%s changes nothing", row.name)
				}
			}
			forged := signInput(t, segment(t, header)+"."+segment(t, json.RawMessage(payload)), jwt.SigningMethodRS256, rs.Private)
			sent.take()
			if r := ts.post("/oauth2/introspect", "rs", "token", forged); r.status != 200 || r.raw != `{"active":false}` {
				t.Errorf("%s, %s: %d %s", kind, row.name, r.status, r.raw)
			}
			for _, command := range sent.take() {
				if !withoutSession.MatchString(command) && !withSession.MatchString(command) {
					t.Errorf("%s, %s: Redis was asked %.200q", kind, row.name, command)
				}
			}
		}
	}
}

// The two profiles are told apart by the header's typ, and no token of one passes for the other.
func TestProfilesAreNotConfused(t *testing.T) {
	ts := onFake(t)
	standard, legacy, refresh := ts.login("web").text("access_token"), ts.login("old").text("access_token"), ts.login("old").text("refresh_token")
	rs, err := ts.keys.Signer("RS256")
	check(t, err)
	for name, forged := range map[string]struct{ typ, claims string }{
		"standard claims, legacy type":           {"JWT", segmentOf(t, standard, 1)},
		"legacy claims, standard type":           {"at+jwt", segmentOf(t, legacy, 1)},
		"legacy refresh claims, standard type":   {"at+jwt", segmentOf(t, refresh, 1)},
		"legacy token with a third subject":      {"JWT", strings.Replace(segmentOf(t, legacy, 1), `"operation"`, `"admin"`, 1)},
		"legacy token without a user":            {"JWT", strings.Replace(segmentOf(t, legacy, 1), `"alice"`, `""`, 1)},
		"legacy token whose user is a number":    {"JWT", strings.Replace(segmentOf(t, legacy, 1), `"alice"`, `7`, 1)},
		"legacy access token as a refresh token": {"JWT", strings.Replace(segmentOf(t, legacy, 1), `"operation"`, `"refresh"`, 1)},
	} {
		header := map[string]any{"alg": "RS256", "kid": rs.ID, "typ": forged.typ}
		token := signInput(t, segment(t, header)+"."+segment(t, json.RawMessage(forged.claims)), jwt.SigningMethodRS256, rs.Private)
		if r := ts.post("/oauth2/introspect", "rs", "token", token); r.raw != `{"active":false}` {
			t.Errorf("%s: %s", name, r.raw)
		}
		ts.want(name, ts.refresh("old", token), 400, "invalid_grant")
	}
}
