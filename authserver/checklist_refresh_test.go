package authserver_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func publicClientsRotate(t *testing.T) {
	ts := onFake(t)
	first := ts.login("app").text("refresh_token")
	second := ts.refresh("app", first)
	if next := second.text("refresh_token"); second.status != 200 || next == "" || next == first {
		t.Errorf("%d %s", second.status, second.raw)
	}
}

func hundredAtOnce(t *testing.T) {
	onRedisAlone(t, func(t *testing.T, ts *testServer) {
		for client, want := range map[string]int{"web": 100, "strict": 1} {
			token := ts.login(client).text("refresh_token")
			replies := make([]reply, 100)
			var all sync.WaitGroup
			for i := range replies {
				all.Go(func() { replies[i] = ts.refresh(client, token) })
			}
			all.Wait()
			good, successors := 0, map[string]bool{}
			for _, r := range replies {
				if r.status == 200 {
					good++
					successors[r.text("refresh_token")] = true
				}
			}
			if good != want || len(successors) != 1 {
				t.Errorf("%s: %d of 100 good with %d successors, want %d with 1", client, good, len(successors), want)
			}
		}
	})
}

func graceIsBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, instance *storagetest.Instance) {
		t.Parallel()
		ts := newTestServer(t, instance.Client(t))
		long, brief := storage.Duration(61*time.Second), storage.Duration(3*time.Second)
		if err := ts.store.PutClient(t.Context(), &storage.Client{ID: "long", Public: true, Grace: &long, Grants: []string{"password"}}); err == nil {
			t.Error("a grace of 61s is accepted")
		}
		check(t, ts.store.PutClient(t.Context(), &storage.Client{ID: "brief", Public: true, Grace: &brief, Grants: []string{"password", "refresh_token"}}))
		token := ts.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=brief").text("refresh_token")
		refresh := func(token string) reply {
			return ts.raw(http.MethodPost, "/oauth2/token", "grant_type=refresh_token&client_id=brief&refresh_token="+token)
		}
		next := refresh(token)
		ts.want("another client within the grace", ts.refresh("web", token), 400, "invalid_grant")
		if again := refresh(token); again.text("refresh_token") != next.text("refresh_token") || again.text("access_token") != next.text("access_token") {
			t.Errorf("within the grace: %d %s", again.status, again.raw)
		}
		awaitConfirmed(t, instance, 3*time.Second)
		instance.Advance(3200 * time.Millisecond)
		ts.want("after the grace", refresh(token), 400, "invalid_grant")
		ts.want("successor after that", refresh(next.text("refresh_token")), 400, "invalid_grant")
	})
}

func usedStaysUsed(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways})
	ts := newTestServer(t, dial(t, server.Addr))
	used := ts.login("strict").text("refresh_token")
	next := ts.refresh("strict", used).text("refresh_token")
	revoked := ts.login("web")
	ts.post("/oauth2/revoke", "web", "token", revoked.text("access_token"))
	server.Kill()
	server.Restart(t)
	ts.rdb = dial(t, server.Addr)
	ts.store, ts.keys = newStore(t, ts.rdb)
	ts.start(nil)
	if ts.active(revoked.text("access_token")) {
		t.Error("a revoked access token is active again")
	}
	ts.want("used token", ts.refresh("strict", used), 400, "invalid_grant")
	ts.want("its successor, after reuse", ts.refresh("strict", next), 400, "invalid_grant")
}

func kindsAreKeptApart(t *testing.T) {
	ts := onFake(t)
	standard, legacy := ts.login("web"), ts.login("old")
	for client, tokens := range map[string][]string{
		"web": {standard.text("access_token"), legacy.text("access_token"), legacy.text("refresh_token"), "ory_rt_abc.def", "x.y", "x.y.z"},
		"old": {legacy.text("access_token"), standard.text("access_token"), standard.text("refresh_token")},
	} {
		for _, token := range tokens {
			ts.want(client+" with "+token, ts.refresh(client, token), 400, "invalid_grant")
		}
	}
	for _, hint := range []string{"", "access_token", "refresh_token"} {
		for _, token := range []string{standard.text("refresh_token"), legacy.text("refresh_token")} {
			if r := ts.post("/oauth2/introspect", "rs", "token", token, "token_type_hint", hint); r.raw != `{"active":false}` {
				t.Errorf("a resource server is told of a refresh token: %s", r.raw)
			}
		}
		if r := ts.post("/oauth2/introspect", "web", "token", standard.text("refresh_token"), "token_type_hint", hint); r.text("token_use") != "refresh_token" || r.body["token_type"] != nil {
			t.Errorf("a refresh token looks like an access token to its client: %s", r.raw)
		}
	}
}

func accountsEndTokens(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		no := false
		for name, end := range map[string]func(user string) error{
			"disabled": func(user string) error {
				return ts.store.Users.ChangeUser(t.Context(), user, storage.UserChange{Active: &no})
			},
			"dropped": func(user string) error { return ts.store.Users.DropUser(t.Context(), user) },
		} {
			ts.addUser(name, "password", true)
			standard, legacy := ts.try("web", name, "password"), ts.try("old", name, "password")
			check(t, end(name))
			for client, r := range map[string]reply{"web": standard, "old": legacy} {
				if ts.active(r.text("access_token")) {
					t.Errorf("%s: an access token of %s is active", name, client)
				}
				ts.want(name+" at "+client, ts.refresh(client, r.text("refresh_token")), 400, "invalid_grant")
				exchange := ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", r.text("access_token"), "subject_token_type", typeAccess)
				ts.want(name+", token exchange", exchange, 400, "invalid_request")
			}
		}
	})
}

func refreshTokensAreRandom(t *testing.T) {
	ts := onFake(t)
	token := ts.login("ed").text("refresh_token")
	seen := map[string]bool{}
	bits := map[byte]int{}
	for range 400 {
		r := ts.refresh("ed", token)
		token = r.text("refresh_token")
		session, secret, _ := strings.Cut(token, ".")
		if len(session) != 44 || len(secret) != 43 || seen[secret] {
			t.Fatalf("token %q", token)
		}
		seen[secret] = true
		for i := range 26 { // those with random bits alone: 20 bytes, and the number begins in the next
			bits[secret[i]]++
		}
	}
	for _, n := range bits { // 10 400 characters: 162 of each, with a deviation of 13
		if len(bits) != 64 || n < 162-6*13 || n > 162+6*13 {
			t.Fatalf("characters are not even: %v", bits)
		}
	}
}
