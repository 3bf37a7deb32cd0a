package authserver_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestJWTBearerGrant(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		sign := newClientWithKey(t, ts, "robot")
		post := func(assertion string, more ...string) reply {
			return ts.post("/oauth2/token", "", append([]string{"grant_type", jwtBearerGrant, "assertion", assertion}, more...)...)
		}
		good := sign(nil)
		r := post(good, "scope", "read")
		if r.status != 200 || r.text("refresh_token") != "" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		if claims := verifyByJWKS(t, ts, r.text("access_token")); claims["sub"] != "robot" || claims["client_id"] != "robot" || claims["scope"] != "read" {
			t.Errorf("claims %v", claims)
		}
		ts.want("used twice", post(good), 400, "invalid_grant")
		ts.want("about a person", post(sign(func(c jwt.MapClaims) { c["sub"] = "alice" })), 400, "invalid_grant")
		ts.want("more than it may", post(sign(nil), "scope", "write"), 400, "invalid_scope")
		ts.want("another client's", post(sign(nil), "client_id", "web"), 400, "invalid_grant")
		ts.want("no assertion", ts.post("/oauth2/token", "", "grant_type", jwtBearerGrant), 400, "invalid_request")
		ts.want("garbage", post("garbage"), 400, "invalid_grant")
		ts.want("client without the grant", post(newClientWithKey(t, ts, "robot")(func(c jwt.MapClaims) { c["iss"], c["sub"] = "web", "web" })), 400, "invalid_grant")
	})
}
