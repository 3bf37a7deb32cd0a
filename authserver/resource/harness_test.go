package resource_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// issuer is a started authorization server that can be made to fail, and counts who asks for what.
type issuer struct {
	t     *testing.T
	url   string
	store *storage.Store
	keys  *keys.Set
	down  atomic.Bool
	jwks  atomic.Int64
	looks atomic.Int64
}

func newIssuer(t *testing.T, config keys.Config) *issuer {
	t.Helper()
	rdb := storagetest.StartMiniredis(t).Client(t)
	store, err := storage.New(rdb, storage.Options{Timeout: hang, Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}})
	check(t, err)
	config.Store = store.Keys
	set, err := keys.New(config)
	check(t, err)
	ctx := context.Background()
	check(t, set.Open(ctx))
	check(t, store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonder land"))
	hash, err := authserver.Secrets{}.Hash(ctx, []byte("secret"))
	check(t, err)
	brief := storage.Duration(2 * time.Second)
	grants := []string{"password", "refresh_token", "client_credentials"}
	for _, c := range []*storage.Client{
		{ID: "web", Secrets: []string{string(hash)}, Grants: grants, Scopes: []string{"read", "write"}, Audience: []string{"https://api.example.com"}, Introspect: true},
		{ID: "es", Secrets: []string{string(hash)}, Grants: grants, Algorithm: "ES256"},
		{ID: "ed", Secrets: []string{string(hash)}, Grants: grants, Algorithm: "EdDSA"},
		{ID: "brief", Secrets: []string{string(hash)}, Grants: grants, AccessTTL: brief},
		{ID: "brief-es", Secrets: []string{string(hash)}, Grants: grants, AccessTTL: brief, Algorithm: "ES256"},
		{ID: "old", Public: true, Grants: grants[:2], Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic},
	} {
		check(t, store.PutClient(ctx, c))
	}
	i := &issuer{t: t, store: store, keys: set}
	i.url = i.serve(set)
	return i
}

// serve starts a replica with a key set of its own, under the issuer of the first one.
func (i *issuer) serve(set *keys.Set) string {
	i.t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	address := "http://" + listener.Listener.Addr().String()
	name := i.url
	if name == "" {
		name = address
	}
	server, err := authserver.New(authserver.Config{Issuer: name, Storage: i.store, Users: i.store.Users, Keys: set, Log: slog.New(slog.DiscardHandler)})
	check(i.t, err)
	listener.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/jwks.json":
			i.jwks.Add(1)
		case "/oauth2/introspect":
			i.looks.Add(1)
		}
		if i.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		server.ServeHTTP(w, r)
	})
	listener.Start()
	i.t.Cleanup(listener.Close)
	return address
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (i *issuer) post(at, path, client string, form ...string) (int, []byte) {
	values := url.Values{}
	for n := 0; n+1 < len(form); n += 2 {
		values.Set(form[n], form[n+1])
	}
	if client == "old" {
		values.Set("client_id", client)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, at+path, strings.NewReader(values.Encode()))
	if err != nil {
		return 0, []byte(err.Error())
	}
	if client != "old" {
		req.SetBasicAuth(client, "secret")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Timeout: hang}).Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, raw
}

func (i *issuer) login(client string, more ...string) tokens {
	i.t.Helper()
	status, raw := i.post(i.url, "/oauth2/token", client, append([]string{"grant_type", "password", "username", "alice", "password", "wonder land"}, more...)...)
	var got tokens
	if status != 200 || json.Unmarshal(raw, &got) != nil {
		i.t.Fatalf("login: %d %s", status, raw)
	}
	return got
}

// hang is a time-out that exists to fail a test that hangs: a busy machine is not an outage.
const hang = 30 * time.Second

func newGuard(t *testing.T, i *issuer, change func(*resource.Config)) *resource.Guard {
	t.Helper()
	config := resource.Config{Issuer: i.url, Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Timeout: hang}}
	if change != nil {
		change(&config)
	}
	guard, err := resource.New(config)
	check(t, err)
	return guard
}

// ask sends a request through the guard to a handler that names the caller.
func ask(guard *resource.Guard, scopes []string, headers ...string) *httptest.ResponseRecorder {
	handler := guard.Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := resource.From(r.Context())
		if !ok {
			http.Error(w, "no claims", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(claims)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
