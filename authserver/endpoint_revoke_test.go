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

// RFC 7009 section 2.1: revoking a token of another client is refused, and the client is told so. A public client is not:
// anyone can claim to be one.
func TestRevokingAnotherClientsTokenIsRefused(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for _, owner := range []string{"web", "app", "old"} {
			login := ts.login(owner)
			access, refresh := login.text("access_token"), login.text("refresh_token")
			for _, token := range []string{access, refresh} {
				ts.want(owner+"'s token, by another", ts.post("/oauth2/revoke", "other", "token", token), 400, "invalid_grant")
				ts.want(owner+"'s token, by a client that introspects", ts.post("/oauth2/revoke", "rs", "token", token), 400, "invalid_grant")
				ts.want(owner+"'s token, by another without its secret", ts.raw(http.MethodPost, "/oauth2/revoke", "client_id=other&token="+token), 401, "invalid_client")
				public := ts.post("/oauth2/revoke", "old-one", "token", token)
				if unknown := ts.post("/oauth2/revoke", "old-one", "token", token+"x"); public.status != 200 || public.raw != unknown.raw {
					t.Errorf("%s's token, by a public client: %d %s, unlike an unknown one: %s", owner, public.status, public.raw, unknown.raw)
				}
			}
			if !ts.active(access) || ts.refresh(owner, refresh).status != 200 {
				t.Errorf("%s's session ended", owner)
			}
			if r := ts.post("/oauth2/revoke", owner, "token", access); r.status != 200 || ts.active(access) {
				t.Errorf("%s revokes its own token: %d", owner, r.status)
			}
			ts.want("a token that was revoked before, by another", ts.post("/oauth2/revoke", "other", "token", access), 200, "")
		}
	})
}
