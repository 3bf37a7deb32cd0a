package authserver_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/storage"
)

func TestAPasswordChangeEndsEverySession(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		standard, old := ts.login("web"), ts.login("old")
		password := "another password"
		check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Password: &password}))
		for _, r := range []reply{standard, old} {
			if ts.active(r.text("access_token")) {
				t.Error("an access token outlived the password")
			}
		}
		ts.want("standard", ts.refresh("web", standard.text("refresh_token")), 400, "invalid_grant")
		ts.want("legacy", ts.refresh("old", old.text("refresh_token")), 400, "invalid_grant")
	})
}

func TestARoleIsReadAnewAtEachRefresh(t *testing.T) {
	ts := onFake(t)
	r := ts.post("/oauth2/token", "old", "grant_type", "password", "username", "root", "password", "toor")
	super := func(token string) any {
		claims := jwt.MapClaims{}
		_, _, err := jwt.NewParser().ParseUnverified(token, claims)
		check(t, err)
		return claims["super_user"]
	}
	if super(r.text("access_token")) != true || super(r.text("refresh_token")) != true {
		t.Fatalf("super user: %s", r.raw)
	}
	none := ""
	check(t, ts.store.Users.ChangeUser(t.Context(), "root", storage.UserChange{Role: &none}))
	if r := ts.refresh("old", r.text("refresh_token")); r.status != 200 || super(r.text("access_token")) != false {
		t.Errorf("a demoted user keeps the claim: %s", r.raw)
	}
}

func TestADisabledUserIsSuspendedAtOnce(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		standard, old := ts.login("web"), ts.login("old")
		set := func(active bool) {
			check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Active: &active}))
		}
		set(false)
		if ts.active(standard.text("access_token")) || ts.active(old.text("access_token")) {
			t.Error("an access token of a disabled user is active")
		}
		ts.want("standard refresh", ts.refresh("web", standard.text("refresh_token")), 400, "invalid_grant")
		ts.want("legacy refresh", ts.refresh("old", old.text("refresh_token")), 400, "invalid_grant")
		ts.want("login", ts.post("/oauth2/token", "web", "grant_type", "password", "username", "alice", "password", "wonder land"), 400, "invalid_grant")
		set(true)
		if !ts.active(standard.text("access_token")) || ts.refresh("old", old.text("refresh_token")).status != 200 {
			t.Error("enabling a user does not give the sessions back")
		}
	})
}
