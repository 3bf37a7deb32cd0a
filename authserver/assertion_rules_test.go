package authserver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	oauth2jwt "golang.org/x/oauth2/jwt"

	"github.com/opgrant/opgrant/storage"
)

// clientRSAKey is the RSA key of clients that sign assertions. It takes long to make.
var clientRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// registerKeys registers a client by these public keys alone. The names of the keys are k1, k2 and so on.
func (ts *testServer) registerKeys(id string, algorithms []string, public ...crypto.PublicKey) {
	ts.t.Helper()
	var set jose.JSONWebKeySet
	for i, key := range public {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: "k" + string(rune('1'+i)), Algorithm: algorithms[i], Use: "sig"})
	}
	raw, err := json.Marshal(set)
	check(ts.t, err)
	check(ts.t, ts.store.PutClient(ts.t.Context(), &storage.Client{
		ID: id, JWKS: raw, Scopes: []string{"read"},
		Grants: []string{"password", "refresh_token", "client_credentials", jwtBearerGrant},
	}))
}

// assertion signs an assertion of a client about itself, for this server and valid for a minute, and without a jti.
func (ts *testServer) assertion(id string, method jwt.SigningMethod, key crypto.PrivateKey, change func(jwt.MapClaims)) string {
	ts.t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{"iss": id, "sub": id, "aud": ts.url, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix()}
	if change != nil {
		change(claims)
	}
	signed, err := jwt.NewWithClaims(method, claims).SignedString(key)
	check(ts.t, err)
	return signed
}

// byAssertion asks for a token of the client itself, authenticated by private_key_jwt.
func (ts *testServer) byAssertion(assertion string, more ...string) reply {
	ts.t.Helper()
	return ts.post("/oauth2/token", "", append([]string{
		"grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion,
	}, more...)...)
}

// RFC 7523 section 3, item 7: jti is optional. Without it the server remembers what was signed, in whatever spelling the
// signature comes back.
func TestAssertionsWithoutIDAreUsedOnce(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		check(t, err)
		ts.registerKeys("robot", []string{"", "", ""}, ec.Public(), clientRSAKey().Public(), ed.Public())
		for _, row := range []struct {
			method jwt.SigningMethod
			key    crypto.PrivateKey
		}{{jwt.SigningMethodES256, ec}, {jwt.SigningMethodRS256, clientRSAKey()}, {jwt.SigningMethodPS256, clientRSAKey()}, {jwt.SigningMethodEdDSA, ed}} {
			assertion := ts.assertion("robot", row.method, row.key, nil)
			if r := ts.byAssertion(assertion); r.status != 200 {
				t.Fatalf("%s: %d %s", row.method.Alg(), r.status, r.raw)
			}
			ts.want(row.method.Alg()+" used twice", ts.byAssertion(assertion), 401, "invalid_client")
			ts.want(row.method.Alg()+" as a grant", ts.post("/oauth2/token", "", "grant_type", jwtBearerGrant, "assertion", assertion), 400, "invalid_grant")
			if row.method == jwt.SigningMethodES256 {
				ts.want("the other form of the signature", ts.byAssertion(otherForm(t, assertion)), 401, "invalid_client")
			}
			for _, respelt := range []string{assertion + "=", assertion + "\n", otherTrailingBits(assertion)} {
				if r := ts.byAssertion(respelt); r.status == 200 {
					t.Errorf("%s: respelt as %q it is a second one", row.method.Alg(), respelt[len(assertion)-3:])
				}
			}
		}
		// PSS signatures have a random salt: the same claims signed again are the same assertion.
		claims := func(c jwt.MapClaims) { c["n"] = 1 }
		first := ts.assertion("robot", jwt.SigningMethodPS256, clientRSAKey(), claims)
		again, err := jwt.SigningMethodPS256.Sign(first[:strings.LastIndex(first, ".")], clientRSAKey())
		check(t, err)
		second := first[:strings.LastIndex(first, ".")+1] + base64.RawURLEncoding.EncodeToString(again)
		if r := ts.byAssertion(first); first == second || r.status != 200 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		ts.want("signed a second time", ts.byAssertion(second), 401, "invalid_client")
	})
}

// otherForm returns the same JWT with the second valid form of its ES256 signature.
func otherForm(t *testing.T, token string) string {
	t.Helper()
	dot := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	check(t, err)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
}

// otherTrailingBits sets a bit of the last character that no byte has. A lax decoder ignores it.
func otherTrailingBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

// Go's own client of the JWT bearer grant sends no jti, and the token endpoint as the audience.
func TestGoClientOfTheJWTBearerGrant(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ts.registerKeys("robot", []string{"RS256"}, clientRSAKey().Public())
		der, err := x509.MarshalPKCS8PrivateKey(clientRSAKey())
		check(t, err)
		config := oauth2jwt.Config{
			Email: "robot", Subject: "robot", Scopes: []string{"read"}, TokenURL: ts.url + "/oauth2/token",
			PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), PrivateKeyID: "k1",
		}
		token, err := config.TokenSource(t.Context()).Token()
		check(t, err)
		if claims := verifyByJWKS(t, ts, token.AccessToken); claims["sub"] != "robot" || token.TokenType != "bearer" || token.RefreshToken != "" {
			t.Errorf("%+v %v", token, claims)
		}
		config.Expires = 30 * time.Minute // another expiry, so another assertion even in the same second
		if _, err := config.TokenSource(t.Context()).Token(); err != nil {
			t.Errorf("a second token: %v", err)
		}
		config.Audience = ts.url
		if _, err := config.TokenSource(t.Context()).Token(); err != nil {
			t.Errorf("for the issuer: %v", err)
		}
	})
}

// RFC 8725 section 3.1: a key is for the algorithm that it names. An RSA key that names none is for RS256 and PS256.
func TestAlgorithmsOfAssertions(t *testing.T) {
	ts := onFake(t)
	key := clientRSAKey()
	ts.registerKeys("any", []string{""}, key.Public())
	ts.registerKeys("pss", []string{"PS256"}, key.Public())
	ts.registerKeys("pkcs", []string{"RS256"}, key.Public())
	for _, row := range []struct {
		client   string
		method   jwt.SigningMethod
		key      crypto.PrivateKey
		accepted bool
	}{
		{"any", jwt.SigningMethodRS256, key, true},
		{"any", jwt.SigningMethodPS256, key, true},
		{"any", jwt.SigningMethodPS512, key, false},
		{"any", jwt.SigningMethodRS512, key, false},
		{"any", jwt.SigningMethodHS256, key.N.Bytes(), false},
		{"any", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, false},
		{"pss", jwt.SigningMethodPS256, key, true},
		{"pss", jwt.SigningMethodRS256, key, false},
		{"pkcs", jwt.SigningMethodRS256, key, true},
		{"pkcs", jwt.SigningMethodPS256, key, false},
	} {
		want := 401
		if row.accepted {
			want = 200
		}
		if r := ts.byAssertion(ts.assertion(row.client, row.method, row.key, nil)); r.status != want {
			t.Errorf("%s by the key of %s: %d %s", row.method.Alg(), row.client, r.status, r.raw)
		}
	}
	metadata := ts.raw("GET", "/.well-known/oauth-authorization-server", "")
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		if got, _ := json.Marshal(metadata.body[endpoint+"_endpoint_auth_signing_alg_values_supported"]); string(got) != `["RS256","PS256","ES256","EdDSA"]` {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}
