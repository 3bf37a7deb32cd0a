package resource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
	"github.com/opgrant/opgrant/storage"
)

// issuer is an authorization server that can be made to fail and that counts requests. Requests reach it in this process,
// without a network: in a synctest bubble they take no time.
type issuer struct {
	t        *testing.T
	url      string
	server   *authserver.Server
	storage  *memoryStorage
	keys     *keys.Set
	keyStore *memoryKeys

	down           atomic.Bool
	jwks           atomic.Int64 // requests for the key set
	introspections atomic.Int64
}

// firstKeys are keys of each algorithm, made once: RSA keys take long to make.
var firstKeys = sync.OnceValue(func() []byte {
	store := &memoryKeys{}
	// The time at which a synctest bubble begins.
	set, err := keys.New(keys.Config{Store: store, Now: func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }})
	if err == nil {
		err = set.Open(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return store.document
})

var issuers atomic.Int64

// newIssuer returns an issuer with the keys of firstKeys, or with keys of its own if it is to be another one.
func newIssuer(t *testing.T, config keys.Config, ownKeys bool) *issuer {
	t.Helper()
	i := &issuer{t: t, url: fmt.Sprintf("http://issuer-%d.test", issuers.Add(1)), storage: newMemoryStorage(t)}
	i.keyStore = &memoryKeys{}
	if !ownKeys {
		i.keyStore.document = firstKeys()
	}
	config.Store = i.keyStore
	i.keys = openKeys(t, config)
	i.server = i.newServer(i.keys)
	return i
}

func openKeys(t *testing.T, config keys.Config) *keys.Set {
	t.Helper()
	set, err := keys.New(config)
	check(t, err)
	check(t, set.Open(t.Context()))
	return set
}

func newMemoryStorage(t *testing.T) *memoryStorage {
	t.Helper()
	hash, err := authserver.Secrets{}.Hash(t.Context(), []byte("rs-secret"))
	check(t, err)
	secret := []string{string(hash)}
	brief := storage.Duration(2 * time.Second)
	grants := []string{"password", "refresh_token", "client_credentials"}
	m := &memoryStorage{clients: map[string]fosite.Client{}, sessions: map[string]fosite.Requester{}}
	for _, c := range []*storage.Client{
		{ID: "web", Secrets: secret, Grants: grants, Scopes: []string{"read", "write"}, Audience: []string{"https://api.example.com"}, Introspect: true},
		{ID: "es", Secrets: secret, Grants: grants, Algorithm: "ES256"},
		{ID: "ed", Secrets: secret, Grants: grants, Algorithm: "EdDSA"},
		{ID: "brief", Secrets: secret, Grants: grants, AccessTTL: brief},
		{ID: "brief-es", Secrets: secret, Grants: grants, AccessTTL: brief, Algorithm: "ES256"},
		{ID: "old", Public: true, Grants: grants[:2], Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic},
	} {
		m.clients[c.ID] = c
	}
	return m
}

// newServer returns a replica with a key set of its own.
func (i *issuer) newServer(set *keys.Set) *authserver.Server {
	i.t.Helper()
	server, err := authserver.New(authserver.Config{Issuer: i.url, Storage: i.storage, Users: oneUser{}, Keys: set, Log: slog.New(slog.DiscardHandler)})
	check(i.t, err)
	return server
}

// RoundTrip implements http.RoundTripper.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/.well-known/jwks.json":
		i.jwks.Add(1)
	case "/oauth2/introspect":
		i.introspections.Add(1)
	}
	w := httptest.NewRecorder()
	if i.down.Load() {
		http.Error(w, "down", http.StatusBadGateway)
	} else {
		i.server.ServeHTTP(w, r)
	}
	return w.Result(), nil
}

func (i *issuer) client() *http.Client { return &http.Client{Transport: i, Timeout: 2 * time.Second} }

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func post(at http.Handler, path, client string, form ...string) (int, []byte) {
	values := url.Values{}
	for n := 0; n+1 < len(form); n += 2 {
		values.Set(form[n], form[n+1])
	}
	if client == "old" {
		values.Set("client_id", client)
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	if client != "old" {
		r.SetBasicAuth(client, "rs-secret")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	at.ServeHTTP(w, r)
	raw, _ := io.ReadAll(w.Body)
	return w.Code, raw
}

func (i *issuer) login(client string, more ...string) tokens {
	i.t.Helper()
	status, raw := post(i.server, "/oauth2/token", client, append([]string{"grant_type", "password", "username", "alice", "password", "wonder land"}, more...)...)
	var got tokens
	if status != 200 || json.Unmarshal(raw, &got) != nil {
		i.t.Fatalf("login: %d %s", status, raw)
	}
	return got
}

func newGuard(t *testing.T, i *issuer, change func(*resource.Config)) *resource.Guard {
	t.Helper()
	config := resource.Config{Issuer: i.url, HTTP: i.client(), Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	guard, err := resource.New(config)
	check(t, err)
	return guard
}

// ask sends a request through the guard to a handler that returns the claims.
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
