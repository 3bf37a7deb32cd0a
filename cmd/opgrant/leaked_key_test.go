package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// revokedWithin is what the documentation promises: how long after `key revoke` no server accepts a token of the key.
const revokedWithin = 5 * time.Second

const leakConfig = `
issuer: http://auth.example
log: {format: text}
passwords: {memory_kib: 8192, iterations: 1}
clients:
  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token]}
  - {id: web, secret: web-secret-long, grants: [password, refresh_token], scopes: [read, write, admin], default_scopes: [read], introspect: true}
users:
  - {username: HDB_ADMIN, password: leaving nothing, role: super_user}
  - {username: alice, password: wonder land}
`

// replica is one of several servers on one Redis.
type replica struct {
	operationsAPI
	name string
}

func startReplica(t *testing.T, name, redis, configuration string) replica {
	t.Helper()
	file := filepath.Join(t.TempDir(), "opgrant.yaml")
	mustWrite(t, file, configuration)
	ctx, cancel := context.WithCancel(context.Background())
	logs, pipe := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--redis", redis, "--config", file, "--listen", "127.0.0.1:0", "--admin-listen", "off"},
			[]string{"OPGRANT_HTTP_DRAIN_DELAY=0s"}, strings.NewReader(""), io.Discard, pipe)
		_ = pipe.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return replica{operationsAPI{"http://" + awaitReady(t, logs)}, name}
}

// oauth sends a form as the client web.
func (r replica) oauth(t *testing.T, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web", "web-secret-long")
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode, body
}

// use tries a token where its kind is accepted.
func (r replica) use(t *testing.T, kind, token string) bool {
	t.Helper()
	switch kind {
	case "operation":
		status, _ := r.post(t, token, `{"operation":"user_info"}`)
		return status == http.StatusOK || status == http.StatusForbidden // a known user without rights
	case "refresh":
		bearer, _ := r.post(t, token, `{"operation":"refresh_operation_token"}`)
		body, _ := r.post(t, "", `{"operation":"refresh_operation_token","refresh_token":"`+token+`"}`)
		return bearer == http.StatusOK || body == http.StatusOK
	default:
		_, body := r.oauth(t, "/oauth2/introspect", url.Values{"token": {token}})
		return body["active"] == true
	}
}

// command runs a command on a Redis and returns what it printed.
func command(t *testing.T, redis string, args ...string) (string, error) {
	t.Helper()
	var out, messages bytes.Buffer
	err := run(t.Context(), append([]string{"--redis", redis}, args...), nil, strings.NewReader(""), &out, &messages)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, &messages)
	}
	return out.String(), err
}

// leak takes the RS256 key out of Redis, as someone who can read it does.
func leak(t *testing.T, store *storage.Store) *keys.Key {
	t.Helper()
	set, err := keys.New(keys.Config{Store: store.Keys})
	if err == nil {
		err = set.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := set.Signer("RS256")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func forged(t *testing.T, key *keys.Key, typ string, kid bool, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["typ"] = typ
	if kid {
		token.Header["kid"] = key.ID
	}
	signed, err := token.SignedString(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func parts(t *testing.T, token string) (kid any, claims jwt.MapClaims) {
	t.Helper()
	claims = jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Header["kid"], claims
}

// A signing key has leaked. What can be forged with it is accepted by two servers until the key is revoked, and by neither of them
// from five seconds after. Sessions that do not depend on the key go on.
func TestALeakedKeyIsRevoked(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	redis := server.URL()
	initStore(t, redis)
	a, b := startReplica(t, "first server", redis, leakConfig), startReplica(t, "second server", redis, leakConfig)
	store, err := storage.New(server.Client(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, web := a.oauth(t, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"wonder land"}})
	_, operations := a.post(t, "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`)
	_, admin := b.post(t, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"leaving nothing"}`)
	access, refresh := fmt.Sprint(web["access_token"]), fmt.Sprint(web["refresh_token"])
	_, adminClaims := parts(t, admin["operation_token"])
	_, wider := parts(t, access)
	wider["scope"] = "read write admin"

	key := leak(t, store)
	legacy := func(sub string, sid any) jwt.MapClaims {
		now := time.Now()
		claims := jwt.MapClaims{"username": "HDB_ADMIN", "super_user": true, "sub": sub, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		if sid != nil {
			claims["sid"] = sid
		}
		return claims
	}
	type token struct {
		name, kind, raw string
		before          bool // accepted until the key is revoked
	}
	tokens := []token{
		{"genuine operation token", "operation", operations["operation_token"], true},
		{"genuine refresh token", "refresh", operations["refresh_token"], true},
		{"genuine access token", "standard", access, true},
		{"operation token of another user's session", "operation", forged(t, key, "JWT", true, legacy("operation", adminClaims["sid"])), true},
		{"access token of wider scopes", "standard", forged(t, key, "at+jwt", true, wider), true},
		// The store compares the whole refresh token, so that a forged one was never good.
		{"refresh token of another user's session", "refresh", forged(t, key, "JWT", true, legacy("refresh", adminClaims["sid"])), false},
		// Without a session, only what an imported key signed is accepted.
		{"operation token without a session", "operation", forged(t, key, "JWT", true, legacy("operation", nil)), false},
		{"operation token without session and kid", "operation", forged(t, key, "JWT", false, legacy("operation", nil)), false},
		{"refresh token without a session", "refresh", forged(t, key, "JWT", true, legacy("refresh", nil)), false},
		{"operation token without kid", "operation", forged(t, key, "JWT", false, legacy("operation", adminClaims["sid"])), false},
	}
	for _, server := range []replica{a, b} {
		for _, token := range tokens {
			if got := server.use(t, token.kind, token.raw); got != token.before {
				t.Errorf("%s, before: %s: accepted %v, want %v", server.name, token.name, got, token.before)
			}
		}
	}

	printed, err := command(t, redis, "key", "revoke", "--yes", "--output", "json", key.ID)
	revoked := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	var done struct{ Signer string }
	if err := json.Unmarshal([]byte(printed), &done); err != nil || done.Signer == "" || done.Signer == key.ID {
		t.Fatalf("%v\n%s", err, printed)
	}
	time.Sleep(time.Until(revoked.Add(revokedWithin)))
	for _, server := range []replica{a, b} {
		for _, token := range tokens {
			if server.use(t, token.kind, token.raw) {
				t.Errorf("%s, after: %s is accepted", server.name, token.name)
			}
		}
		if resp, err := http.Get(server.url + "/.well-known/jwks.json"); err != nil {
			t.Error(err)
		} else if raw, _ := io.ReadAll(resp.Body); resp.Body.Close() != nil || bytes.Contains(raw, []byte(key.ID)) || !bytes.Contains(raw, []byte(done.Signer)) {
			t.Errorf("%s publishes %s", server.name, raw)
		}
	}
	// The opaque refresh token of a standard client does not depend on the key, and logins go on.
	status, next := b.oauth(t, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, next)
	}
	again := fmt.Sprint(next["access_token"])
	if kid, _ := parts(t, again); kid != done.Signer || !a.use(t, "standard", again) || !b.use(t, "standard", again) {
		t.Errorf("the new access token is signed by %v", kid)
	}
	if status, body := b.post(t, "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`); status != 200 || !a.use(t, "operation", body["operation_token"]) {
		t.Errorf("login: %d %v", status, body)
	}
}

// `key revoke` counts and ends the sessions that depend on a key, and no other.
func TestRevokingAKeyEndsTheSessionsThatDependOnIt(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	redis := server.URL()
	store, err := storage.New(server.Client(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"web", "other"} {
		if err := store.PutClient(t.Context(), &storage.Client{ID: id, Public: true, Grants: []string{"password", "refresh_token"}}); err != nil {
			t.Fatal(err)
		}
	}
	old := newOldServer(t)
	printed, err := command(t, redis, "key", "import", filepath.Join(old.dir, ".jwtPublic.key"))
	if err != nil {
		t.Fatal(err)
	}
	kid := strings.TrimSpace(printed)
	depend := []string{
		newSession(t, store, "web", signedBy(t, kid, authserver.Session{Subject: "alice"})),
		newSession(t, store, "web", signedBy(t, "another", authserver.Session{Subject: "bob", MadeFrom: []string{"a third", kid}})),
		newSession(t, store, "other", &authserver.Session{MadeFrom: []string{kid}}),
	}
	others := []string{
		newSession(t, store, "web", signedBy(t, "another", authserver.Session{Subject: "alice"})),
		newSession(t, store, "other", &authserver.Session{Subject: "alice", MadeFrom: []string{"another"}}),
		newSession(t, store, "other", &authserver.Session{Subject: "alice"}),
	}
	left := func() []string {
		var ids []string
		for _, id := range slices.Concat(depend, others) {
			if _, err := store.Session(t.Context(), id); err == nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	report := func(args ...string) (r struct {
		Sessions int
		DryRun   bool `json:"dry_run"`
		Stage    string
	},
	) {
		t.Helper()
		printed, err := command(t, redis, slices.Concat([]string{"key", "revoke", "--output", "json"}, args, []string{"--", kid})...)
		if err == nil {
			err = json.Unmarshal([]byte(printed), &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := report("--dry-run"); r.Sessions != 3 || !r.DryRun || r.Stage != "retired" || len(left()) != 6 {
		t.Errorf("dry run: %+v, %d sessions are left", r, len(left()))
	}
	if r := report("--yes"); r.Sessions != 3 || r.DryRun || !slices.Equal(left(), others) {
		t.Errorf("%+v, %d sessions are left", r, len(left()))
	}
	late := newSession(t, store, "web", signedBy(t, kid, authserver.Session{Subject: "alice"})) // by a server that had not heard of it
	if r := report("--yes"); r.Sessions != 1 || r.Stage != "revoked" {
		t.Errorf("again: %+v", r)
	}
	if _, err := store.Session(t.Context(), late); err == nil {
		t.Error("a late session is left")
	}
	for _, dryRun := range []string{"--dry-run", "--dry-run=false"} {
		if _, err := command(t, redis, "import", "harper", "--keys", old.dir, dryRun); err == nil || !strings.Contains(err.Error(), "cannot be imported again") {
			t.Errorf("%s: %v", dryRun, err)
		}
	}
}

// signedBy is the session with a refresh token that the key of that ID has signed.
func signedBy(t *testing.T, kid string, session authserver.Session) *authserver.Session {
	t.Helper()
	if err := json.Unmarshal([]byte(`{"k":"`+kid+`"}`), &session); err != nil {
		t.Fatal(err)
	}
	return &session
}

func newSession(t *testing.T, store *storage.Store, client string, session *authserver.Session) string {
	t.Helper()
	session.RefreshExpires = time.Now().Add(time.Hour).Unix()
	req := fosite.NewRequest()
	req.Client, req.Session = &fosite.DefaultClient{ID: client}, session
	id := store.SessionID(session.Subject)
	req.SetID(id)
	if err := store.CreateRefreshTokenSession(t.Context(), store.TokenSignature(id, "x"), "", req); err != nil {
		t.Fatal(err)
	}
	return id
}
