package authserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// OAuch (DistriNet, KU Leuven; github.com/DistriNet/OAuch at commit 4f18c30) tests OAuth servers for what the RFCs and the
// security best practice ask for. The rows have the names of its tests without the prefix OAuch.Compliance.Tests. The other
// 125 are about what this server does not have or does not do itself: the authorization and device endpoints with PKCE, PAR
// and JAR, ID tokens, DPoP and mutual TLS, the TLS of each endpoint, and an API that is given the tokens.
//
// OAuch is set up as its users would: a confidential client whose refresh tokens follow the policy strict, a second client,
// and a client with a key. Its assertions are valid for a day, so assertions.max_ttl is one.
var oauchRows = append(append(append(append([]catalogueRow{
	{name: "Features.HasSupportedFlowsTest", run: func(c *catalogue) error { return issued(c.login()) }},
	{name: "Features.PasswordFlowSupportedTest", run: func(c *catalogue) error { return issued(c.login()) }},
	{name: "Features.ClientCredentialsFlowSupportedTest", run: func(c *catalogue) error { return issued(c.asItself()) }},
	{name: "Features.HasAccessTokensTest", run: func(c *catalogue) error { return issued(c.login()) }},
	{name: "Features.HasRefreshTokensTest", run: func(c *catalogue) error { return must(c.login().text("refresh_token") != "", "no refresh token") }},
	{name: "Features.HasJwtAccessTokensTest", run: func(c *catalogue) error {
		_, _, err := jwt.NewParser().ParseUnverified(c.login().text("access_token"), jwt.MapClaims{})
		return err
	}},
	{name: "Features.CanSignatureBeVerifiedTest", run: func(c *catalogue) error {
		keys, _ := c.raw("GET", "/.well-known/jwks.json", "").body["keys"].([]any)
		verifyByJWKS(c.t, c.testServer, c.login().text("access_token"))
		return must(len(keys) > 0, "no keys")
	}},
}, oauchTokenEndpoint...), oauchRevocation...), oauchAssertions...), oauchTokens...)

// login is a login of alice at the main client.
func (c *catalogue) login() reply {
	c.t.Helper()
	return c.form("/oauth2/token", c.main.header(), passwordGrant()...)
}

// asItself asks for a token of the main client itself.
func (c *catalogue) asItself(more ...string) reply {
	c.t.Helper()
	return c.form("/oauth2/token", c.main.header(), append([]string{"grant_type", "client_credentials"}, more...)...)
}

// refreshAs uses a refresh token by the client of the header.
func (c *catalogue) refreshAs(authorization, token string, more ...string) reply {
	c.t.Helper()
	return c.form("/oauth2/token", authorization, refreshGrant(token, more...)...)
}

// revokeAs revokes a token by the client of the header.
func (c *catalogue) revokeAs(authorization, token string) reply {
	c.t.Helper()
	return c.form("/oauth2/revoke", authorization, "token", token)
}

// signer is a client that signs assertions with the claims of a catalogue.
type signer struct {
	id     string
	method jwt.SigningMethod
	key    any
	claims func() jwt.MapClaims
}

// sign returns an assertion with changed claims.
func (s signer) sign(c *catalogue, change func(jwt.MapClaims)) string {
	c.t.Helper()
	claims := s.claims()
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(s.method, claims)
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(s.key)
	check(c.t, err)
	return signed
}

// byKey asks for a token of a client itself, which authenticates by an assertion.
func (c *catalogue) byKey(assertion string, more ...string) reply {
	c.t.Helper()
	return c.form("/oauth2/token", "", append([]string{
		"grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion,
	}, more...)...)
}

func TestCatalogueOAuch(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ts.start(func(c *authserver.Config) { c.Assertions.MaxTTL = 24 * time.Hour })
		grants := []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantClientCredentials}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(t, err)
		ts.registerKeys("oauch-keyed", []string{"ES256"}, key.Public())
		runCatalogue(t, &catalogue{
			testServer: ts, issuer: ts.url,
			main:   ts.addClient(storage.Client{ID: "oauch", Grants: grants, Refresh: policy.RefreshStrict}),
			second: ts.addClient(storage.Client{ID: "oauch-second", Grants: grants, Refresh: policy.RefreshStrict}),
			keyed: signer{"oauch-keyed", jwt.SigningMethodES256, key, func() jwt.MapClaims {
				issued := time.Now().Add(-5 * time.Second).Unix()
				return jwt.MapClaims{
					"iss": "oauch-keyed", "sub": "oauch-keyed", "aud": ts.url + "/oauth2/token", "jti": rand.Text(),
					"exp": time.Now().Add(24 * time.Hour).Unix(), "iat": issued, "nbf": issued,
				}
			}},
		}, oauchRows, 52)
	})
}
