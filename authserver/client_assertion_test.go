package authserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/opgrant/opgrant/storage"
)

const (
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// newClientWithKey registers a client with a key of its own, and returns what signs its assertions.
func newClientWithKey(t *testing.T, ts *testServer, id string) func(change func(jwt.MapClaims)) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	check(t, err)
	check(t, ts.store.PutClient(t.Context(), &storage.Client{
		ID: id, JWKS: set, Grants: []string{"password", "refresh_token", "client_credentials", jwtBearerGrant}, Scopes: []string{"read"},
	}))
	return func(change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"iss": id, "sub": id, "aud": ts.url, "jti": rand.Text(),
			"exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		}
		if change != nil {
			change(claims)
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = "k1"
		signed, err := token.SignedString(private)
		check(t, err)
		return signed
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		sign := newClientWithKey(t, ts, "robot")
		newClientWithKey(t, ts, "stranger")
		post := func(assertion string) reply {
			return ts.post("/oauth2/token", "", "grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion)
		}
		good := sign(nil)
		if r := post(good); r.status != 200 || verifyByJWKS(t, ts, r.text("access_token"))["sub"] != "robot" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		ts.want("used twice", post(good), 401, "invalid_client")
		for name, change := range map[string]func(jwt.MapClaims){
			"for another server":  func(c jwt.MapClaims) { c["aud"] = "https://elsewhere.example.com" },
			"expired":             func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() },
			"without expiry":      func(c jwt.MapClaims) { delete(c, "exp") },
			"valid for a year":    func(c jwt.MapClaims) { c["exp"] = time.Now().AddDate(1, 0, 0).Unix() },
			"about another":       func(c jwt.MapClaims) { c["sub"] = "web" },
			"in another's name":   func(c jwt.MapClaims) { c["sub"], c["iss"] = "stranger", "stranger" },
			"of a secret client":  func(c jwt.MapClaims) { c["sub"], c["iss"] = "web", "web" },
			"of an unknown one":   func(c jwt.MapClaims) { c["sub"], c["iss"] = "nobody", "nobody" },
			"issued in a century": func(c jwt.MapClaims) { c["iat"] = time.Now().AddDate(100, 0, 0).Unix() },
			"issued a year ago":   func(c jwt.MapClaims) { c["iat"] = time.Now().AddDate(-1, 0, 0).Unix() },
		} {
			ts.want(name, post(sign(change)), 401, "invalid_client")
		}
		ts.want("of another type", ts.post("/oauth2/token", "", "grant_type", "client_credentials",
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "client_assertion", sign(nil)), 400, "invalid_request")
		ts.want("beside a secret", ts.post("/oauth2/token", "web", "grant_type", "client_credentials",
			"client_assertion_type", assertionType, "client_assertion", sign(nil)), 400, "invalid_request")
		ts.want("a keyed client without its key", ts.post("/oauth2/token", "robot", "grant_type", "client_credentials"), 401, "invalid_client")
	})
}
