package authserver_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typeRefresh   = "urn:ietf:params:oauth:token-type:refresh_token"
)

// world is a started server with a user, clients of each kind, and the store behind it.
type world struct {
	t      *testing.T
	store  *storage.Store
	rdb    redis.UniversalClient
	server *authserver.Server
	keys   *keys.Set
	url    string
	log    *strings.Builder
}

// onRedis runs a test on miniredis and on a real redis-server.
func onRedis(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) { test(t, newWorld(t, r.Client(t))) })
}

// onFake runs a test on miniredis alone, where Redis is not what is tested.
func onFake(t *testing.T) *world {
	t.Helper()
	return newWorld(t, storagetest.StartMiniredis(t).Client(t))
}

func newWorld(t *testing.T, rdb redis.UniversalClient) *world {
	t.Helper()
	return newWorldWithTimeout(t, rdb, hang)
}

// hang is a time-out that exists to fail a test that hangs: a busy machine is not an outage.
const hang = 30 * time.Second

// newWorldWithTimeout is for tests of an outage, which wait for the time-out of the store.
func newWorldWithTimeout(t *testing.T, rdb redis.UniversalClient, timeout time.Duration) *world {
	t.Helper()
	w := &world{t: t, rdb: rdb, log: &strings.Builder{}}
	w.store, w.keys = newStoreWithTimeout(t, rdb, timeout)
	w.seed()
	w.start(nil)
	return w
}

func newStore(t *testing.T, rdb redis.UniversalClient) (*storage.Store, *keys.Set) {
	t.Helper()
	return newStoreWithTimeout(t, rdb, hang)
}

func newStoreWithTimeout(t *testing.T, rdb redis.UniversalClient, timeout time.Duration) (*storage.Store, *keys.Set) {
	t.Helper()
	store, err := storage.New(rdb, storage.Options{
		Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}, ClientCache: -1, Timeout: timeout,
	})
	check(t, err)
	saveKeys(t, store.Keys)
	set, err := keys.New(keys.Config{Store: store.Keys})
	check(t, err)
	check(t, set.Open(context.Background()))
	return store, set
}

// start serves the store from a server of its own, as another replica would.
func (w *world) start(change func(*authserver.Config)) {
	w.t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	w.url = "http://" + listener.Listener.Addr().String()
	config := authserver.Config{
		Issuer: w.url, Storage: w.store, Users: w.store.Users, Keys: w.keys,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	w.server, err = authserver.New(config)
	check(w.t, err)
	listener.Config.Handler = w.server
	listener.Start()
	w.t.Cleanup(listener.Close)
}

func (w *world) seed() {
	w.t.Helper()
	ctx := context.Background()
	_, err := w.store.Users.AddRole(ctx, storage.Role{ID: "super_user", Permission: json.RawMessage(`{"super_user":true}`)})
	check(w.t, err)
	check(w.t, w.store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonder land"))
	check(w.t, w.store.Users.AddUser(ctx, storage.User{Name: "root", Role: "super_user", Active: true}, "toor"))
	strict := storage.Duration(0)
	public := []string{"password", "refresh_token", exchangeGrant}
	every := append(public, "client_credentials")
	for _, c := range []*storage.Client{
		{ID: "web", Grants: every, Scopes: []string{"read", "write"}, Audience: []string{"https://api.example.com"}},
		{ID: "strict", Grants: every, Grace: &strict},
		{ID: "other", Grants: every},
		{ID: "rs", Introspect: true},
		{ID: "es", Grants: every, Algorithm: "ES256"},
		{ID: "ed", Grants: every, Algorithm: "EdDSA"},
		{ID: "limited", Grants: every, SessionsPerUser: 1},
		{ID: "nothing", Grants: []string{policy.GrantClientCredentials}},
		{ID: "app", Public: true, Grants: []string{"password", "refresh_token"}},
		{ID: "old", Public: true, Grants: public, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic},
		{ID: "old-one", Public: true, Grants: public, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic, SessionsPerUser: 1},
	} {
		if !c.Public {
			c.Secrets = []string{secretHash(w.t, c.ID+"-secret")}
		}
		check(w.t, w.store.PutClient(ctx, c))
	}
}

// reply is an answer with what tests look at.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// post sends a form as a client ("" for none); a confidential one authenticates by Basic.
func (w *world) post(path, client string, form ...string) reply {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, nil)
	check(w.t, err)
	switch client {
	case "":
	case "app", "old", "old-one":
		values.Set("client_id", client)
	default:
		req.SetBasicAuth(client, client+"-secret")
	}
	req.Body = io.NopCloser(strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(req)
}

func (w *world) do(req *http.Request) reply {
	w.t.Helper()
	client := &http.Client{Timeout: hang, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	check(w.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	check(w.t, err)
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r.body)
	return r
}

func (w *world) login(client string, more ...string) reply {
	w.t.Helper()
	r := w.post("/oauth2/token", client, append([]string{"grant_type", "password", "username", "alice", "password", "wonder land"}, more...)...)
	if r.status != http.StatusOK {
		w.t.Fatalf("login at %s: %d %s", client, r.status, r.raw)
	}
	return r
}

func (w *world) refresh(client, token string, more ...string) reply {
	w.t.Helper()
	return w.post("/oauth2/token", client, append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...)
}

func (w *world) active(token string) bool {
	w.t.Helper()
	r := w.post("/oauth2/introspect", "rs", "token", token)
	if r.status != http.StatusOK {
		w.t.Fatalf("introspect: %d %s", r.status, r.raw)
	}
	active, _ := r.body["active"].(bool)
	return active
}

func (w *world) want(what string, r reply, status int, code string) {
	w.t.Helper()
	if r.status != status || r.text("error") != code {
		w.t.Errorf("%s: %d %s, want %d %q", what, r.status, r.raw, status, code)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decode(raw []byte) map[string]any {
	var body map[string]any
	_ = json.Unmarshal(raw, &body)
	return body
}
