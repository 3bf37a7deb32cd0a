package authserver_test

import (
	"context"
	"testing"
)

func TestTokenExchange(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		old := ts.login("old")
		for kind, token := range map[string]string{typeAccess: old.text("access_token"), typeRefresh: old.text("refresh_token")} {
			r := ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", kind, "scope", "read")
			if r.status != 200 || r.text("issued_token_type") != typeAccess || r.text("refresh_token") == "" {
				t.Fatalf("%s: %d %s", kind, r.status, r.raw)
			}
			if claims := verifyByJWKS(t, ts, r.text("access_token")); claims["sub"] != "alice" || claims["scope"] != "read" {
				t.Errorf("claims %v", claims)
			}
			if again := ts.refresh("web", r.text("refresh_token")); again.status != 200 {
				t.Errorf("refresh after the exchange: %s", again.raw)
			}
		}
		ts.want("wrong kind", ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", old.text("access_token"), "subject_token_type", typeRefresh), 400, "invalid_request")
		ts.want("machine token", ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token",
			ts.post("/oauth2/token", "web", "grant_type", "client_credentials").text("access_token"), "subject_token_type", typeAccess), 400, "invalid_request")
		ts.want("client without the grant", ts.post("/oauth2/token", "app", "grant_type", exchangeGrant, "subject_token", old.text("access_token"), "subject_token_type", typeAccess), 400, "unauthorized_client")
		sessions, err := ts.store.SessionsOf(context.Background(), "alice")
		check(t, err)
		if len(sessions) != 3 {
			t.Errorf("%d sessions, want the old one and two new ones", len(sessions))
		}
	})
}
