package authserver_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// outageLimit is the time within which every request is answered while Redis is away. It is checked only where tests may
// measure time.
const outageLimit = 1500 * time.Millisecond

var measureTime = os.Getenv("OPGRANT_TEST_FAULTS") != ""

// outageTimeout is the time-out of the store, which ends every command to a frozen Redis.
func outageTimeout() time.Duration {
	if measureTime {
		return 0 // the default
	}
	return 3 * time.Second
}

// request is one request of a test.
type request struct {
	name string
	send func() reply
}

// requestsOfEachKind are requests with valid tokens.
func requestsOfEachKind(ts *testServer, web, legacy reply) []request {
	form := func(path, client string, pairs ...string) func() reply {
		return func() reply { return ts.post(path, client, pairs...) }
	}
	return []request{
		{"password", form("/oauth2/token", "web", "grant_type", "password", "username", "alice", "password", "wonder land")},
		{"wrong password", form("/oauth2/token", "web", "grant_type", "password", "username", "alice", "password", "x")},
		{"legacy password", form("/oauth2/token", "old", "grant_type", "password", "username", "alice", "password", "wonder land")},
		{"client_credentials", form("/oauth2/token", "web", "grant_type", "client_credentials")},
		{"token exchange", form("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", legacy.text("access_token"), "subject_token_type", typeAccess)},
		{"refresh", form("/oauth2/token", "web", "grant_type", "refresh_token", "refresh_token", web.text("refresh_token"))},
		{"legacy refresh", form("/oauth2/token", "old", "grant_type", "refresh_token", "refresh_token", legacy.text("refresh_token"))},
		{"introspection of an access token", form("/oauth2/introspect", "rs", "token", web.text("access_token"))},
		{"introspection of a refresh token", form("/oauth2/introspect", "web", "token", web.text("refresh_token"))},
		{"revocation of an access token", form("/oauth2/revoke", "web", "token", web.text("access_token"))},
		{"revocation of a refresh token", form("/oauth2/revoke", "web", "token", web.text("refresh_token"))},
		{"unknown client", form("/oauth2/introspect", "nobody", "token", "x")},
	}
}

// wantUnavailable checks the response during an outage: 503 with Retry-After and nothing about a token.
func wantUnavailable(t *testing.T, name string, r reply, took time.Duration) {
	t.Helper()
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" || err != nil || wait < 1 || wait > 5 {
		t.Errorf("%s: %d %s, Retry-After %q", name, r.status, r.raw, r.header.Get("Retry-After"))
	}
	if strings.Contains(r.raw, "active") || strings.Contains(r.raw, "token") {
		t.Errorf("%s: the response says something about a token: %s", name, r.raw)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers %v", name, r.header)
	}
	if measureTime && took > outageLimit {
		t.Errorf("%s: answered after %v", name, took)
	}
}

func sendAll(t *testing.T, list []request) {
	t.Helper()
	var all sync.WaitGroup
	for _, q := range list {
		all.Go(func() {
			start := time.Now()
			wantUnavailable(t, q.name, q.send(), time.Since(start))
		})
	}
	all.Wait()
}

// RFC 7009 section 2.2.1, fosite CVE-2020-15223, and items 34 and 46 of the checklist: an outage is 503, and the tokens are
// valid after it.
func TestOutageIs503(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for time-outs")
	}
	for name, outage := range map[string]func(t *testing.T, s *storagetest.Server) (heal func()){
		"frozen": func(t *testing.T, s *storagetest.Server) func() { s.Freeze(t); return func() { s.Thaw(t) } },
		"killed": func(t *testing.T, s *storagetest.Server) func() { s.Kill(); return func() { s.Restart(t) } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
			ts := newTestServerWithTimeout(t, dial(t, server.Addr), outageTimeout())
			web, legacy := ts.login("web"), ts.login("old")
			list := requestsOfEachKind(ts, web, legacy)

			heal := outage(t, server)
			for range 2 { // the second time the circuit breaker is open
				sendAll(t, list)
			}
			heal()

			end := time.Now().Add(30 * time.Second)
			for ts.post("/oauth2/token", "web", "grant_type", "client_credentials").status != http.StatusOK {
				if time.Now().After(end) {
					t.Fatal("no recovery")
				}
				time.Sleep(50 * time.Millisecond)
			}
			// The revocations may have happened. The legacy session was not revoked.
			if r := ts.refresh("old", legacy.text("refresh_token")); r.status != http.StatusOK {
				t.Errorf("legacy refresh after the outage: %d %s", r.status, r.raw)
			}
			if r := ts.login("web"); !ts.active(r.text("access_token")) {
				t.Error("a login after the outage is not active")
			}
		})
	}
}

// A refresh during an outage does not end the session (item 34 of the checklist; keycloak#49213).
func TestRefreshSurvivesAnOutage(t *testing.T) {
	for _, client := range []string{"web", "strict"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
			ts := newTestServerWithTimeout(t, dial(t, server.Addr), outageTimeout())
			token := ts.login(client).text("refresh_token")
			server.Kill()
			for range 3 {
				start := time.Now()
				r := ts.refresh(client, token)
				wantUnavailable(t, "refresh", r, time.Since(start))
			}
			server.Restart(t)
			var r reply
			for range 600 {
				if r = ts.refresh(client, token); r.status != http.StatusServiceUnavailable {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if r.status != http.StatusOK || r.text("refresh_token") == "" {
				t.Errorf("after the outage: %d %s", r.status, r.raw)
			}
		})
	}
}

// Every error of Redis is 503.
func TestErrorsOfRedisAre503(t *testing.T) {
	for _, message := range []string{
		"LOADING Redis is loading the dataset in memory",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"READONLY You can't write against a read only replica.",
		"CLUSTERDOWN The cluster is down",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"NOREPLICAS Not enough good replicas to write.",
		"MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
		"BUSY Redis is busy running a script.",
		"NOAUTH Authentication required.",
		"WRONGPASS invalid username-password pair or user is disabled.",
		"NOPERM this user has no permissions to run the 'get' command",
		"ERR an error that does not exist yet",
	} {
		code, _, _ := strings.Cut(message, " ")
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			redis := storagetest.StartMiniredis(t)
			ts := newTestServer(t, redis.Client(t))
			list := requestsOfEachKind(ts, ts.login("web"), ts.login("old"))
			redis.Mini.SetError(message)
			sendAll(t, list)
			redis.Mini.SetError("")
		})
	}
}

// An empty Redis has lost its data. It must not make tokens inactive.
func TestEmptiedRedisIs503(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		list := requestsOfEachKind(ts, ts.login("web"), ts.login("old"))
		check(t, ts.rdb.FlushAll(t.Context()).Err())
		sendAll(t, list)
	})
}

// dial returns a Redis client as the program makes it.
func dial(t *testing.T, addr string) redis.UniversalClient {
	t.Helper()
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{addr}})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}
