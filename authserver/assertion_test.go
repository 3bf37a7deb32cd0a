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
	assertionGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// keyed registers a client with a key of its own, and returns what signs its assertions.
func keyed(t *testing.T, w *world, id string) func(change func(jwt.MapClaims)) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	check(t, err)
	check(t, w.store.PutClient(t.Context(), &storage.Client{
		ID: id, JWKS: set, Grants: []string{"password", "refresh_token", "client_credentials", assertionGrant}, Scopes: []string{"read"},
	}))
	return func(change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"iss": id, "sub": id, "aud": w.url, "jti": rand.Text(),
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
	onRedis(t, func(t *testing.T, w *world) {
		sign := keyed(t, w, "robot")
		keyed(t, w, "stranger")
		post := func(assertion string) reply {
			return w.post("/oauth2/token", "", "grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion)
		}
		good := sign(nil)
		if r := post(good); r.status != 200 || verifyByJWKS(t, w, r.text("access_token"))["sub"] != "robot" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		w.want("used twice", post(good), 401, "invalid_client")
		for name, change := range map[string]func(jwt.MapClaims){
			"for another server":  func(c jwt.MapClaims) { c["aud"] = "https://elsewhere.example.com" },
			"expired":             func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() },
			"without expiry":      func(c jwt.MapClaims) { delete(c, "exp") },
			"without an ID":       func(c jwt.MapClaims) { delete(c, "jti") },
			"of a year's life":    func(c jwt.MapClaims) { c["exp"] = time.Now().AddDate(1, 0, 0).Unix() },
			"about another":       func(c jwt.MapClaims) { c["sub"] = "web" },
			"in another's name":   func(c jwt.MapClaims) { c["sub"], c["iss"] = "stranger", "stranger" },
			"of a secret client":  func(c jwt.MapClaims) { c["sub"], c["iss"] = "web", "web" },
			"of an unknown one":   func(c jwt.MapClaims) { c["sub"], c["iss"] = "nobody", "nobody" },
			"issued in a century": func(c jwt.MapClaims) { c["iat"] = time.Now().AddDate(100, 0, 0).Unix() },
		} {
			w.want(name, post(sign(change)), 401, "invalid_client")
		}
		w.want("of another type", w.post("/oauth2/token", "", "grant_type", "client_credentials",
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "client_assertion", sign(nil)), 400, "invalid_request")
		w.want("beside a secret", w.post("/oauth2/token", "web", "grant_type", "client_credentials",
			"client_assertion_type", assertionType, "client_assertion", sign(nil)), 400, "invalid_request")
		w.want("a keyed client without its key", w.post("/oauth2/token", "robot", "grant_type", "client_credentials"), 401, "invalid_client")
	})
}

func TestAssertionGrant(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		sign := keyed(t, w, "robot")
		post := func(assertion string, more ...string) reply {
			return w.post("/oauth2/token", "", append([]string{"grant_type", assertionGrant, "assertion", assertion}, more...)...)
		}
		good := sign(nil)
		r := post(good, "scope", "read")
		if r.status != 200 || r.text("refresh_token") != "" {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		if claims := verifyByJWKS(t, w, r.text("access_token")); claims["sub"] != "robot" || claims["client_id"] != "robot" || claims["scope"] != "read" {
			t.Errorf("claims %v", claims)
		}
		w.want("used twice", post(good), 400, "invalid_grant")
		w.want("about a person", post(sign(func(c jwt.MapClaims) { c["sub"] = "alice" })), 400, "invalid_grant")
		w.want("more than it may", post(sign(nil), "scope", "write"), 400, "invalid_scope")
		w.want("another client's", post(sign(nil), "client_id", "web"), 400, "invalid_grant")
		w.want("no assertion", w.post("/oauth2/token", "", "grant_type", assertionGrant), 400, "invalid_request")
		w.want("garbage", post("garbage"), 400, "invalid_grant")
		w.want("client without the grant", post(keyed(t, w, "robot")(func(c jwt.MapClaims) { c["iss"], c["sub"] = "web", "web" })), 400, "invalid_grant")
	})
}
