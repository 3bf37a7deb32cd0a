package authserver_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// outageTimeout is the time-out of the store in these tests. It ends every call to a frozen Redis.
const outageTimeout = 2 * time.Second

// questions are one request of each kind, with tokens that are good.
type question struct {
	name string
	ask  func() reply
}

func questions(w *world, web, legacy reply) []question {
	form := func(path, client string, pairs ...string) func() reply {
		return func() reply { return w.post(path, client, pairs...) }
	}
	return []question{
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

// wantUnavailable checks an answer during an outage: it says nothing about the token, and when to come back.
func wantUnavailable(t *testing.T, name string, r reply) {
	t.Helper()
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" || err != nil || wait < 1 || wait > 5 {
		t.Errorf("%s: %d %s, Retry-After %q", name, r.status, r.raw, r.header.Get("Retry-After"))
	}
	if strings.Contains(r.raw, "active") || strings.Contains(r.raw, "token") {
		t.Errorf("%s: the answer says something of a token: %s", name, r.raw)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers %v", name, r.header)
	}
}

func askAll(t *testing.T, list []question) {
	t.Helper()
	var all sync.WaitGroup
	for _, q := range list {
		all.Go(func() {
			wantUnavailable(t, q.name, q.ask())
		})
	}
	all.Wait()
}

// RFC 7009 section 2.2.1, fosite CVE-2020-15223, and items 34 and 46 of the checklist: an outage is no verdict, and what was
// good before is good after it.
func TestOutageIsNeverAVerdict(t *testing.T) {
	for name, outage := range map[string]func(t *testing.T, s *storagetest.Server) (heal func()){
		"frozen": func(t *testing.T, s *storagetest.Server) func() { s.Freeze(t); return func() { s.Thaw(t) } },
		"killed": func(t *testing.T, s *storagetest.Server) func() { s.Kill(); return func() { s.Restart(t) } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
			w := newWorldWithTimeout(t, dial(t, server.Addr), outageTimeout)
			web, legacy := w.login("web"), w.login("old")
			list := questions(w, web, legacy)

			heal := outage(t, server)
			for range 2 { // the second time the breaker answers
				askAll(t, list)
			}
			heal()

			end := time.Now().Add(hang)
			for w.post("/oauth2/token", "web", "grant_type", "client_credentials").status != http.StatusOK {
				if time.Now().After(end) {
					t.Fatal("no recovery within 30s")
				}
				time.Sleep(50 * time.Millisecond)
			}
			// The revocations were answered with a don't-know, so they may have happened; legacy was not asked to be revoked.
			if r := w.refresh("old", legacy.text("refresh_token")); r.status != http.StatusOK {
				t.Errorf("legacy refresh after the outage: %d %s", r.status, r.raw)
			}
			if r := w.login("web"); !w.active(r.text("access_token")) {
				t.Error("a login after the outage is not active")
			}
		})
	}
}

// A refresh that was refused with a don't-know does not cost the session (checklist 34; keycloak#49213).
func TestRefreshSurvivesAnOutage(t *testing.T) {
	for _, client := range []string{"web", "strict"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
			w := newWorldWithTimeout(t, dial(t, server.Addr), outageTimeout)
			token := w.login(client).text("refresh_token")
			server.Kill()
			for range 3 {
				wantUnavailable(t, "refresh", w.refresh(client, token))
			}
			server.Restart(t)
			var r reply
			for end := time.Now().Add(hang); time.Now().Before(end); {
				if r = w.refresh(client, token); r.status != http.StatusServiceUnavailable {
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

// Whatever Redis says instead of an answer is no verdict either.
func TestErrorsOfRedisAreNeverAVerdict(t *testing.T) {
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
		"ERR something that nobody has foreseen",
	} {
		word, _, _ := strings.Cut(message, " ")
		t.Run(word, func(t *testing.T) {
			redis := storagetest.StartMiniredis(t)
			w := newWorld(t, redis.Client(t))
			list := questions(w, w.login("web"), w.login("old"))
			redis.Mini.SetError(message)
			askAll(t, list)
			redis.Mini.SetError("")
		})
	}
}

// An emptied Redis knows nothing, and says nothing about anybody.
func TestEmptiedRedisIsNeverAVerdict(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		list := questions(w, w.login("web"), w.login("old"))
		check(t, w.rdb.FlushAll(t.Context()).Err())
		askAll(t, list)
	})
}

// dial is a client as the program makes it.
func dial(t *testing.T, addr string) redis.UniversalClient {
	t.Helper()
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{addr}})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}
