package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// briefGrace is the grace of the client "brief".
const briefGrace = time.Second

// loseReplies makes the proxy cut the connection after each script has run.
func loseReplies(proxy *storagetest.Proxy) {
	proxy.Set(storagetest.Faults{CutAfter: 1, Match: func(words []string) bool { return strings.EqualFold(words[0], "evalsha") }})
}

// behindProxy starts a replica whose connections to Redis can be cut, and one without.
func behindProxy(t *testing.T, r *storagetest.Instance) (a, b *testServer, proxy *storagetest.Proxy, later *clock) {
	t.Helper()
	proxy = storagetest.StartProxy(t, r.Addr)
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{proxy.Addr}})
	t.Cleanup(func() { _ = rdb.Close() })
	a = newTestServerWithTimeout(t, rdb, outageTimeout())
	b, later = &testServer{t: t, rdb: r.Client(t), log: &strings.Builder{}}, &clock{}
	b.store, b.keys = newStore(t, b.rdb)
	b.start(func(c *authserver.Config) { c.Issuer, c.Now = a.url, later.now })
	return a, b, proxy, later
}

// refreshInDoubt sends a refresh whose reply is lost.
func refreshInDoubt(t *testing.T, ts *testServer, proxy *storagetest.Proxy, client, token string) {
	t.Helper()
	if r := ts.refresh(client, ts.login(client).text("refresh_token")); r.status != http.StatusOK { // Redis knows the script now
		t.Fatalf("refresh of another session: %d %s", r.status, r.raw)
	}
	loseReplies(proxy)
	lost := ts.refresh(client, token)
	if lost.status != http.StatusServiceUnavailable || lost.header.Get("Retry-After") == "" {
		t.Fatalf("while replies are lost: %d %s", lost.status, lost.raw)
	}
	if _, after := proxy.Cuts(); after == 0 {
		t.Fatal("no connection was cut, so the test shows nothing")
	}
	proxy.Set(storagetest.Faults{})
}

// retried repeats a refresh while it is answered 503: until the circuit breaker closes, and without a grace until the first
// attempt cannot be running any more.
func retried(ts *testServer, r *storagetest.Instance, client, token string) reply {
	again := ts.refresh(client, token)
	for again.status == http.StatusServiceUnavailable {
		r.Advance(500 * time.Millisecond)
		again = ts.refresh(client, token)
	}
	return again
}

// The store rotates the token, but its reply is lost. The client retries after the grace, at the same replica or at another one:
// it must get the tokens that are in the store, and the retry must not count as reuse. Later the token is an ordinary used one.
func TestARetryAfterTheGraceIsNotReuse(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		a, b, proxy, _ := behindProxy(t, r)
		for _, client := range []string{"strict", "brief"} {
			for name, at := range map[string]*testServer{"the same replica": a, "another replica": b} {
				token := a.login(client).text("refresh_token")
				refreshInDoubt(t, a, proxy, client, token)
				r.Advance(2 * briefGrace)
				again := retried(at, r, client, token)
				if again.status != http.StatusOK {
					t.Fatalf("%s, %s: retry: %d %s", client, name, again.status, again.raw)
				}
				if client == "brief" {
					if r.Mini != nil { // whose clock stands still
						if twice := at.refresh(client, token); twice.text("refresh_token") != again.text("refresh_token") {
							t.Errorf("%s, %s: a second retry gets another token: %d %s", client, name, twice.status, twice.raw)
						}
					}
					awaitConfirmed(t, r, briefGrace)
					r.Advance(2 * briefGrace)
				}
				next := retried(b, r, client, again.text("refresh_token"))
				if next.status != http.StatusOK {
					t.Fatalf("%s, %s: the issued tokens are not those in the store: %d %s", client, name, next.status, next.raw)
				}
				b.want(client+": the first token once more, which is reuse", b.refresh(client, token), 400, "invalid_grant")
				b.want(client+": its session", b.refresh(client, next.text("refresh_token")), 400, "invalid_grant")
			}
		}
	})
}

// When the reply has arrived, the used token is good for the grace and no longer: reuse is found at every replica.
func TestReuseAfterTheGraceEndsTheSession(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		a, b, _, _ := behindProxy(t, r)
		for _, client := range []string{"strict", "brief"} {
			first := a.login(client).text("refresh_token")
			second := a.refresh(client, first)
			if second.status != http.StatusOK {
				t.Fatalf("%s: refresh: %d %s", client, second.status, second.raw)
			}
			if client == "brief" {
				if r.Mini != nil { // whose clock stands still
					if again := b.refresh(client, first); again.text("refresh_token") != second.text("refresh_token") {
						t.Errorf("within the grace: %d %s", again.status, again.raw)
					}
				}
				awaitConfirmed(t, r, briefGrace)
				r.Advance(2 * briefGrace)
			}
			b.want(client+": reuse", b.refresh(client, first), 400, "invalid_grant")
			b.want(client+": its session", a.refresh(client, second.text("refresh_token")), 400, "invalid_grant")
		}
	})
}

// An answer in doubt never opens a session again that has ended meanwhile.
func TestAnAnswerInDoubtDoesNotOutliveItsSession(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		a, b, proxy, _ := behindProxy(t, r)
		for name, end := range map[string]func(access string){
			"revoked": func(string) { check(t, a.store.RevokeSubject(t.Context(), "alice")) },
			"a new password": func(string) {
				password := "wonder land" // the same one ends sessions too
				check(t, a.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Password: &password}))
			},
		} {
			login := a.login("brief")
			refreshInDoubt(t, a, proxy, "brief", login.text("refresh_token"))
			end(login.text("access_token"))
			b.want(name, retried(b, r, "brief", login.text("refresh_token")), 400, "invalid_grant")
		}
	})
}

// The access token of an answer in doubt may have expired before the retry. The response says so, and its refresh token is good.
func TestARetryWithAnExpiredAccessToken(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	a, b, proxy, later := behindProxy(t, r)
	token := a.login("brief").text("refresh_token")
	refreshInDoubt(t, a, proxy, "brief", token)
	later.advance(10 * time.Minute) // access tokens of this client are good for a minute
	again := retried(b, r, "brief", token)
	if again.status != http.StatusOK || again.body["expires_in"] != float64(1) {
		t.Fatalf("retry: %d %s", again.status, again.raw)
	}
	if next := retried(b, r, "brief", again.text("refresh_token")); next.status != http.StatusOK {
		t.Errorf("its refresh token: %d %s", next.status, next.raw)
	}
}

// awaitConfirmed waits until no answer is in doubt: each is kept for the grace at most.
func awaitConfirmed(t *testing.T, r *storagetest.Instance, grace time.Duration) {
	t.Helper()
	rdb := r.Client(t)
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		confirmed := true
		for _, key := range r.Keys(t) {
			if strings.HasPrefix(key, "opgrant:a:") && rdb.PTTL(t.Context(), key).Val() > grace {
				confirmed = false
			}
		}
		if confirmed {
			return
		}
	}
	t.Fatal("an answer is still in doubt")
}
