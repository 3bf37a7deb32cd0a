package authserver_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestLegacyRefreshTokenNeverRotates(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		first := ts.login("old")
		token := first.text("refresh_token")
		if strings.Count(token, ".") != 2 {
			t.Fatalf("the legacy refresh token is not a JWT: %s", token)
		}
		seen := map[string]bool{first.text("access_token"): true}
		for range 5 {
			r := ts.refresh("old", token)
			if r.status != http.StatusOK || r.body["refresh_token"] != nil {
				t.Fatalf("refresh: %d %s", r.status, r.raw)
			}
			if access := r.text("access_token"); seen[access] || !ts.active(access) {
				t.Fatal("a refresh gave no new valid access token")
			} else {
				seen[access] = true
			}
		}
		if !ts.active(first.text("access_token")) {
			t.Error("an earlier access token ended with a refresh")
		}
	})
}

func TestLostAnswerIsGivenAgain(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		token := ts.login("web").text("refresh_token")
		first := ts.refresh("web", token)
		again := ts.refresh("web", token)
		if again.status != 200 || again.text("access_token") != first.text("access_token") || again.text("refresh_token") != first.text("refresh_token") {
			t.Fatalf("not the same pair: %s\n%s", first.raw, again.raw)
		}
		// A second tab that is two generations behind still reaches the newest pair.
		third := ts.refresh("web", first.text("refresh_token"))
		if r := ts.refresh("web", token); r.text("refresh_token") != first.text("refresh_token") {
			t.Errorf("first token: %d %s", r.status, r.raw)
		}
		if r := ts.refresh("web", first.text("refresh_token")); r.text("refresh_token") != third.text("refresh_token") {
			t.Errorf("second token: %d %s", r.status, r.raw)
		}
	})
}

func TestReuseAloneEndsTheSession(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("strict")
		used := login.text("refresh_token")
		next := ts.refresh("strict", used).text("refresh_token")

		ts.want("another client with the used token", ts.refresh("other", used), 400, "invalid_grant")
		ts.want("another client with the newest token", ts.refresh("other", next), 400, "invalid_grant")
		ts.want("altered token", ts.refresh("strict", used[:len(used)-1]+"!"), 400, "invalid_grant")
		ts.want("unknown token of the session", ts.refresh("strict", used[:45]+strings.Repeat("A", 43)), 400, "invalid_grant")
		r := ts.refresh("strict", next)
		if r.status != http.StatusOK {
			t.Fatalf("the session ended by what must not end it: %s", r.raw)
		}

		ts.want("used token", ts.refresh("strict", used), 400, "invalid_grant")
		ts.want("newest token after reuse", ts.refresh("strict", r.text("refresh_token")), 400, "invalid_grant")
		if ts.active(login.text("access_token")) || ts.active(r.text("access_token")) {
			t.Error("an access token outlived the session")
		}
	})
}

func TestParallelRefreshesGetOnePair(t *testing.T) {
	onRedisAlone(t, func(t *testing.T, ts *testServer) {
		for _, c := range []struct {
			client string
			good   int
		}{{"web", 30}, {"strict", 1}} {
			token := ts.login(c.client).text("refresh_token")
			replies := make([]reply, 30)
			var group sync.WaitGroup
			for i := range replies {
				group.Go(func() { replies[i] = ts.refresh(c.client, token) })
			}
			group.Wait()
			pairs, good := map[string]bool{}, 0
			for _, r := range replies {
				if r.status == http.StatusOK {
					good++
					pairs[r.text("refresh_token")+r.text("access_token")] = true
				}
			}
			if good != c.good || len(pairs) != 1 {
				t.Errorf("%s: %d answered with %d pairs, want %d with 1", c.client, good, len(pairs), c.good)
			}
		}
	})
}

func TestScopesOnRefresh(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web", "scope", "read write").text("refresh_token")
	ts.want("wider", ts.refresh("web", token, "scope", "read write admin"), 400, "invalid_scope")
	ts.want("other case", ts.refresh("web", token, "scope", "READ"), 400, "invalid_scope")
	narrow := ts.refresh("web", token, "scope", "read")
	if narrow.text("scope") != "read" || verifyByJWKS(t, ts, narrow.text("access_token"))["scope"] != "read" {
		t.Errorf("narrower: %s", narrow.raw)
	}
	if r := ts.post("/oauth2/introspect", "rs", "token", narrow.text("access_token")); r.text("scope") != "read" {
		t.Errorf("introspection of the narrower token: %s", r.raw)
	}
	if r := ts.refresh("web", narrow.text("refresh_token")); r.text("scope") != "read write" {
		t.Errorf("the refresh token lost what the login was granted: %s", r.raw)
	}
}
