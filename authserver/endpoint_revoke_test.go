package authserver_test

import (
	"net/http"
	"testing"
)

// simple-oauth2 parses every response as JSON, although RFC 7009 section 2.2 lets clients ignore this body.
func TestRevocationAnswersJSON(t *testing.T) {
	ts := onFake(t)
	r := ts.post("/oauth2/revoke", "web", "token", ts.login("web").text("access_token"))
	if r.status != http.StatusOK || r.raw != "{}" || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q %v", r.status, r.raw, r.header)
	}
}

func TestARevokedAccessTokenEndsAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("web")
		next := ts.refresh("web", login.text("refresh_token"))
		if r := ts.post("/oauth2/revoke", "web", "token", login.text("access_token")); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		if ts.active(login.text("access_token")) || !ts.active(next.text("access_token")) {
			t.Error("the wrong access tokens ended")
		}
		again := ts.refresh("web", next.text("refresh_token"))
		if again.status != http.StatusOK || ts.active(login.text("access_token")) {
			t.Errorf("after a refresh: %d, revoked token active: %v", again.status, ts.active(login.text("access_token")))
		}
		ts.post("/oauth2/revoke", "other", "token", again.text("access_token"))
		if !ts.active(again.text("access_token")) {
			t.Error("a client revoked another client's token")
		}
	})
}
