package authserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// oauchRevocation has the tests of OAuch's folder Revocation.
var oauchRevocation = []catalogueRow{
	{name: "Revocation.CanAccessTokensBeRevokedTest", run: func(c *catalogue) error {
		token := c.login().text("access_token")
		return must(c.revokeAs(c.main.header(), token).status == http.StatusOK && !c.active(token), "still active")
	}},
	{name: "Revocation.CanRefreshTokensBeRevokedTest", run: func(c *catalogue) error {
		token := c.login().text("refresh_token")
		return firstError(must(c.revokeAs(c.main.header(), token).status == http.StatusOK, "refused"), notIssued(c.refreshAs(c.main.header(), token)))
	}},
	{name: "Revocation.RefreshRevokesAccessTest", run: func(c *catalogue) error {
		r := c.login()
		return must(c.revokeAs(c.main.header(), r.text("refresh_token")).status == http.StatusOK && !c.active(r.text("access_token")), "the access token is still active")
	}},
	{
		name: "Revocation.AccessRevokesRefreshTest", run: func(c *catalogue) error {
			r := c.login()
			revoked := c.revokeAs(c.main.header(), r.text("access_token"))
			again := c.refreshAs(c.main.header(), r.text("refresh_token"))
			return firstError(must(revoked.status == http.StatusOK, "not revoked"), must(again.status != http.StatusOK, "the refresh token is still good"))
		},
		fails:  "the refresh token is still good",
		reason: "Revoking an access token ends that token alone; RFC 7009, section 2.1, leaves the refresh token to the server.",
	},
	{name: "Revocation.IsBoundToClientTest", run: func(c *catalogue) error {
		r := c.login()
		refused := c.revokeAs(c.second.header(), r.text("refresh_token"))
		return must(refused.status >= 400 && c.active(r.text("access_token")), "another client revokes: %d %s", refused.status, refused.raw)
	}},
	{name: "Revocation.IsClientAuthRequiredTest", run: func(c *catalogue) error {
		r := c.login()
		for _, form := range [][]string{{}, {"client_id", c.main.id}} {
			refused := c.form("/oauth2/revoke", "", append(form, "token", r.text("refresh_token"))...)
			if err := must(refused.status >= 400 && c.active(r.text("access_token")), "revoked without authentication: %d", refused.status); err != nil {
				return err
			}
		}
		return nil
	}},
}

// oauchAssertions has the tests of OAuch's folder Jwt. Each sends an assertion that is right but for one thing.
var oauchAssertions = []catalogueRow{
	{name: "Jwt.SupportsJwtClientAuthenticationTest", run: func(c *catalogue) error { return issued(c.byKey(c.keyed.sign(c, nil))) }},
	{name: "Jwt.HasAudienceClaimTest", run: oauchAssertion(func(claims jwt.MapClaims) { delete(claims, "aud") })},
	{name: "Jwt.HasIssuerClaimTest", run: oauchAssertion(func(claims jwt.MapClaims) { delete(claims, "iss") })},
	{name: "Jwt.HasSubjectClaimTest", run: oauchAssertion(func(claims jwt.MapClaims) { delete(claims, "sub") })},
	{name: "Jwt.IsExpirationCheckedTest", run: oauchAssertion(func(claims jwt.MapClaims) { claims["exp"] = time.Now().Add(-24 * time.Hour).Unix() })},
	{name: "Jwt.IsIssuedAtCheckedTest", run: oauchAssertion(func(claims jwt.MapClaims) { claims["iat"] = time.Now().AddDate(-1, 0, 0).Unix() })},
	{name: "Jwt.IsNotBeforeCheckedTest", run: oauchAssertion(func(claims jwt.MapClaims) {
		claims["nbf"], claims["exp"] = time.Now().Add(24*time.Hour).Unix(), time.Now().Add(48*time.Hour).Unix()
	})},
	{name: "Jwt.IsJwtReplayDetectedTest", run: func(c *catalogue) error {
		same := func(claims jwt.MapClaims) { claims["jti"] = "0123456789abcdef" }
		return firstError(issued(c.byKey(c.keyed.sign(c, same))), notIssued(c.byKey(c.keyed.sign(c, same))))
	}},
	{name: "Jwt.IsSignatureCheckedTest", run: func(c *catalogue) error {
		return notIssued(c.byKey(signer{c.keyed.id, c.keyed.method, otherKey(c), c.keyed.claims}.sign(c, nil)))
	}},
	{name: "Jwt.IsSignatureRequiredTest", run: func(c *catalogue) error {
		return notIssued(c.byKey(signer{c.keyed.id, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, c.keyed.claims}.sign(c, nil)))
	}},
	// There at an API. Here introspection answers for an API: it must not say that the token is active.
	{name: "Jwt.AcceptsNoneSignatureTest", run: func(c *catalogue) error {
		token := c.login().text("access_token")
		var claims jwt.MapClaims
		parsed, _, err := jwt.NewParser().ParseUnverified(token, &claims)
		check(c.t, err)
		for _, forged := range []signer{
			{"", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil},
			{"", casedNone{}, jwt.UnsafeAllowNoneSignatureType, nil},
			{"", jwt.SigningMethodRS256, clientRSAKey(), nil},
			{"", jwt.SigningMethodHS256, make([]byte, 20), nil},
		} {
			again := jwt.NewWithClaims(forged.method, claims)
			again.Header["kid"], again.Header["typ"] = parsed.Header["kid"], parsed.Header["typ"]
			signed, err := again.SignedString(forged.key)
			check(c.t, err)
			if err := must(!c.active(signed), "active: signed by %s", forged.method.Alg()); err != nil {
				return err
			}
		}
		return must(c.active(token), "the token itself is not active")
	}},
}

// oauchAssertion is a test that sends a changed assertion, which must be refused.
func oauchAssertion(change func(jwt.MapClaims)) func(*catalogue) error {
	return func(c *catalogue) error { return notIssued(c.byKey(c.keyed.sign(c, change))) }
}

func otherKey(c *catalogue) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(c.t, err)
	return key
}

// casedNone is the algorithm none in another case, which some servers accept.
type casedNone struct{}

func (casedNone) Verify(string, []byte, any) error { return nil }
func (casedNone) Sign(string, any) ([]byte, error) { return nil, nil }
func (casedNone) Alg() string                      { return "nOnE" }
