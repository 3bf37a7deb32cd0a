package authserver_test

import (
	"net/url"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver"
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

// RFC 7521 section 4.1: a client that authenticates besides its assertion must do so rightly, and be the assertion's client.
func TestCredentialsBesideAnAssertionCount(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		sign := newClientWithKey(t, ts, "robot")
		strangers := newClientWithKey(t, ts, "stranger")
		hash, err := authserver.Secrets{}.Hash(t.Context(), []byte("robot-secret"))
		check(t, err)
		robot, err := ts.store.Client(t.Context(), "robot")
		check(t, err)
		both := *robot
		both.Secrets = []string{string(hash)} // a client may have a secret and keys
		check(t, ts.store.PutClient(t.Context(), &both))
		grant := func() string { return "grant_type=" + url.QueryEscape(jwtBearerGrant) + "&assertion=" + sign(nil) }
		by := func(assertion string) string {
			return "&client_assertion_type=" + url.QueryEscape(assertionType) + "&client_assertion=" + assertion
		}
		for name, row := range map[string]struct {
			header, form string
			status       int
			code         string
		}{
			"nothing":                           {"", "", 200, ""},
			"its ID":                            {"", "&client_id=robot", 200, ""},
			"its secret":                        {as("robot"), "", 200, ""},
			"its secret and ID":                 {as("robot"), "&client_id=robot", 200, ""},
			"its secret in the body":            {"", "&client_id=robot&client_secret=robot-secret", 200, ""},
			"its private_key_jwt":               {"", by(sign(nil)), 200, ""},
			"a wrong secret":                    {basic("robot", "wrong"), "", 401, "invalid_client"},
			"a wrong secret in the body":        {"", "&client_id=robot&client_secret=wrong", 401, "invalid_client"},
			"a secret without an ID":            {"", "&client_secret=robot-secret", 401, "invalid_client"},
			"an unknown client":                 {basic("nobody", "x"), "", 401, "invalid_client"},
			"a scheme that is not Basic":        {"Bearer x", "", 401, "invalid_client"},
			"a header that cannot be read":      {"Basic !", "", 401, "invalid_client"},
			"a private_key_jwt that is garbage": {"", by("x.y.z"), 401, "invalid_client"},
			"a private_key_jwt without a type":  {"", "&client_assertion=" + sign(nil), 400, "invalid_request"},
			"a type without a private_key_jwt":  {"", "&client_assertion_type=" + url.QueryEscape(assertionType), 400, "invalid_request"},
			"two ways":                          {as("robot"), by(sign(nil)), 400, "invalid_request"},
			"another client's secret":           {as("web"), "", 400, "invalid_grant"},
			"another client's private_key_jwt":  {"", by(strangers(nil)), 400, "invalid_grant"},
			"another client's ID":               {"", "&client_id=web", 400, "invalid_grant"},
			"a public client's ID":              {"", "&client_id=app", 400, "invalid_grant"},
		} {
			r := ts.raw("POST", "/oauth2/token", grant()+row.form, "Authorization", row.header)
			ts.want(name, r, row.status, row.code)
			if (r.status == 401) != (r.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%s: WWW-Authenticate %q", name, r.header.Get("WWW-Authenticate"))
			}
		}
		// Wrong credentials use no assertion up.
		assertion := sign(nil)
		form := "grant_type=" + url.QueryEscape(jwtBearerGrant) + "&assertion=" + assertion
		ts.want("wrong secret", ts.raw("POST", "/oauth2/token", form, "Authorization", basic("robot", "wrong")), 401, "invalid_client")
		ts.want("right secret", ts.raw("POST", "/oauth2/token", form, "Authorization", as("robot")), 200, "")
	})
}
