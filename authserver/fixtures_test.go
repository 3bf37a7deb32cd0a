package authserver_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typeRefresh   = "urn:ietf:params:oauth:token-type:refresh_token"
)

// testServer is a started server with users, clients of each kind, and the store behind it.
type testServer struct {
	t      *testing.T
	store  *storage.Store
	rdb    redis.UniversalClient
	server *authserver.Server
	keys   *keys.Set
	url    string
	log    *strings.Builder
}

// onRedis runs a test on miniredis and on a real redis-server, in parallel with others.
func onRedis(t *testing.T, test func(t *testing.T, ts *testServer)) {
	t.Helper()
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		test(t, newTestServer(t, r.Client(t)))
	})
}

// onRedisAlone runs a test that sends many requests at once. No other test of the package runs at the same time, so that the
// requests do not wait long on a slow machine.
func onRedisAlone(t *testing.T, test func(t *testing.T, ts *testServer)) {
	t.Helper()
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) { test(t, newTestServer(t, r.Client(t))) })
}

// onFake runs a test on miniredis only, because Redis does not matter to it. The test runs in parallel with others.
func onFake(t *testing.T) *testServer {
	t.Helper()
	t.Parallel()
	return newTestServer(t, storagetest.StartMiniredis(t).Client(t))
}

func newTestServer(t *testing.T, rdb redis.UniversalClient) *testServer {
	t.Helper()
	return newTestServerWithTimeout(t, rdb, hang)
}

// hang is a time-out that exists to fail a test that hangs: a busy machine is not an outage.
const hang = 30 * time.Second

// newTestServerWithTimeout is for tests that wait for the time-out of the store.
func newTestServerWithTimeout(t *testing.T, rdb redis.UniversalClient, timeout time.Duration) *testServer {
	t.Helper()
	ts := &testServer{t: t, rdb: rdb, log: &strings.Builder{}}
	ts.store, ts.keys = newStoreWithTimeout(t, rdb, timeout)
	ts.seed()
	ts.start(nil)
	return ts
}

func newStore(t *testing.T, rdb redis.UniversalClient) (*storage.Store, *keys.Set) {
	t.Helper()
	return newStoreWithTimeout(t, rdb, hang)
}

func newStoreWithTimeout(t *testing.T, rdb redis.UniversalClient, timeout time.Duration) (*storage.Store, *keys.Set) {
	t.Helper()
	store, err := storage.New(rdb, storage.Options{Password: cheapPasswords, ClientCache: -1, Timeout: timeout})
	check(t, err)
	return store, openKeys(t, store.Keys, time.Millisecond)
}

// withLimits starts the server again, as another replica with limits of its own and a limit on wrong client secrets.
func (ts *testServer) withLimits(limits throttle.Limits, change func(*authserver.Config)) {
	ts.t.Helper()
	store, err := storage.New(ts.rdb, storage.Options{Password: cheapPasswords, ClientCache: -1, Timeout: hang, Throttle: limits})
	check(ts.t, err)
	ts.store, ts.keys = store, openKeys(ts.t, store.Keys, time.Millisecond)
	ts.start(func(c *authserver.Config) {
		c.SecretThrottle = store.Users.Throttle()
		if change != nil {
			change(c)
		}
	})
}

// cheapPasswords are costs for tests whose subject is not the hash.
var cheapPasswords = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}

// openKeys returns the key set of a store. An empty store gets keys that are the same in all tests, because RSA keys take
// long to make.
func openKeys(t testing.TB, store *storage.Keys, refreshEvery time.Duration) *keys.Set {
	t.Helper()
	if document, _, err := store.LoadKeys(t.Context()); err == nil && document == nil {
		_ = store.SaveKeys(t.Context(), firstKeys(), "") // another replica may be first
	}
	set, err := keys.New(keys.Config{Store: store, RefreshEvery: refreshEvery})
	check(t, err)
	check(t, set.Open(t.Context()))
	return set
}

var firstKeys = sync.OnceValue(func() []byte {
	store := &documentStore{}
	set, err := keys.New(keys.Config{Store: store})
	if err == nil {
		err = set.Open(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return store.document
})

// documentStore keeps the document of a new key set.
type documentStore struct{ document []byte }

func (s *documentStore) LoadKeys(context.Context) ([]byte, string, error) {
	if s.document == nil {
		return nil, "", nil
	}
	return s.document, "1", nil
}

func (s *documentStore) SaveKeys(_ context.Context, document []byte, _ string) error {
	s.document = document
	return nil
}

// start serves the store from a new server, as another replica would.
func (ts *testServer) start(change func(*authserver.Config)) {
	ts.t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	ts.url = "http://" + listener.Listener.Addr().String()
	config := authserver.Config{
		Issuer: ts.url, Storage: ts.store, Users: ts.store.Users, Keys: ts.keys,
		Log: slog.New(slog.NewTextHandler(ts.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	ts.server, err = authserver.New(config)
	check(ts.t, err)
	listener.Config.Handler = ts.server
	listener.Start()
	ts.t.Cleanup(listener.Close)
}

// clock is a clock that a test sets forward.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func (ts *testServer) seed() {
	ts.t.Helper()
	ctx := context.Background()
	_, err := ts.store.Users.AddRole(ctx, storage.Role{ID: "super_user", Permission: json.RawMessage(`{"super_user":true}`)})
	check(ts.t, err)
	check(ts.t, ts.store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonder land"))
	check(ts.t, ts.store.Users.AddUser(ctx, storage.User{Name: "root", Role: "super_user", Active: true}, "toor"))
	strict, brief := storage.Duration(0), storage.Duration(briefGrace)
	public := []string{"password", "refresh_token", exchangeGrant}
	every := append(public, "client_credentials")
	for _, c := range []*storage.Client{
		{ID: "web", Grants: every, Scopes: []string{"read", "write"}, Audience: []string{"https://api.example.com"}, ExchangeFrom: []string{"old", "web"}},
		{ID: "strict", Grants: every, Grace: &strict},
		{ID: "brief", Grants: every, Grace: &brief, AccessTTL: storage.Duration(time.Minute)},
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
			hash, err := authserver.Secrets{}.Hash(ctx, []byte(c.ID+"-secret"))
			check(ts.t, err)
			c.Secrets = []string{string(hash)}
		}
		check(ts.t, ts.store.PutClient(ctx, c))
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
