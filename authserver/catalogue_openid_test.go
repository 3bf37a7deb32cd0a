package authserver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

const (
	fapi1 = "fapi1-advanced-final-"
	fapi2 = "fapi2-security-profile-final-"
)

// The conformance suite of the OpenID Foundation (at commit 12f2a4d) has no plan for a server without an authorization
// endpoint. These are its modules for FAPI 1.0 Advanced and for the FAPI 2.0 Security Profile, client authentication
// private_key_jwt, whose subject is the token endpoint or the metadata. Where a module first obtains an authorization code,
// the row uses the client credentials grant or the password grant. The four modules par-* are about assertions at the pushed
// authorization request endpoint, to which RFC 9126 section 2 gives the rules of the token endpoint: the rows do the same
// there.
var openIDRows = []catalogueRow{
	{
		name: fapi2 + "discovery-end-point-verification", run: fapi2Discovery,
		fails:  "the metadata has neither tls_client_certificate_bound_access_tokens nor dpop_signing_alg_values_supported",
		reason: noSenderConstraint,
	},
	{
		name: fapi2 + "refresh-token", run: func(c *catalogue) error { return c.fapiRefresh(true) },
		fails: "a refresh without proof of possession is answered with tokens", reason: noSenderConstraint,
	},
	{name: fapi2 + "ensure-client-assertion-in-token-endpoint", run: withoutAssertion},
	{name: fapi2 + "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", run: refusedAssertion(expiredFiveMinutes)},
	{name: fapi2 + "ensure-client-assertion-with-no-sub-fails", run: refusedAssertion(withoutSubject)},
	{name: fapi2 + "ensure-client-assertion-with-wrong-aud-fails", run: refusedAssertion(wrongAudience)},
	{name: fapi2 + "ensure-client-id-in-token-endpoint", run: secondClientsID},
	{name: fapi2 + "ensure-signed-client-assertion-with-RS256-fails", run: signedRS256},
	{name: fapi2 + "par-test-array-as-audience-fails", run: func(c *catalogue) error {
		return refusedAssertion(func(claims jwt.MapClaims) { claims["aud"] = []string{c.issuer, c.issuer + "/oauth2/token"} })(c)
	}},
	{name: fapi2 + "par-test-token-endpoint-url-as-audience-fails", run: func(c *catalogue) error {
		return refusedAssertion(func(claims jwt.MapClaims) { claims["aud"] = c.issuer + "/oauth2/token" })(c)
	}},
	{name: fapi2 + "par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted", run: func(c *catalogue) error {
		return issued(c.byKey(c.keyed.sign(c, later(8*time.Second, "iat", "nbf"))))
	}},
	{
		name: fapi2 + "par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails",
		run:  refusedAssertion(later(62*time.Second, "iat", "nbf", "exp")),
	},

	{
		name: fapi1 + "refresh-token", run: func(c *catalogue) error { return c.fapiRefresh(false) },
		fails: "a refresh without proof of possession is answered with tokens", reason: noSenderConstraint,
	},
	{name: fapi1 + "ensure-client-assertion-in-token-endpoint", run: withoutAssertion},
	{name: fapi1 + "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", run: refusedAssertion(expiredFiveMinutes)},
	{name: fapi1 + "ensure-client-assertion-with-iss-aud-succeeds", run: func(c *catalogue) error {
		return firstError(
			issued(c.byKey(c.keyed.sign(c, nil))), // for the token endpoint, as FAPI 1 has it
			issued(c.byKey(c.keyed.sign(c, func(claims jwt.MapClaims) { claims["aud"] = c.issuer }))))
	}},
	{name: fapi1 + "ensure-client-assertion-with-no-sub-fails", run: refusedAssertion(withoutSubject)},
	{name: fapi1 + "ensure-client-assertion-with-wrong-aud-fails", run: refusedAssertion(wrongAudience)},
	{name: fapi1 + "ensure-client-assertion-with-wrong-iss-fails", run: refusedAssertion(func(claims jwt.MapClaims) { claims["iss"] = "wrong-issuer-value" })},
	{name: fapi1 + "ensure-client-assertion-with-wrong-sub-fails", run: refusedAssertion(func(claims jwt.MapClaims) { claims["sub"] = "wrong-sub-value" })},
	{name: fapi1 + "ensure-client-id-in-token-endpoint", run: secondClientsID},
	{name: fapi1 + "ensure-signed-client-assertion-with-RS256-fails", run: signedRS256},
}

const noSenderConstraint = "Tokens are bearer tokens: they are not bound to a key of the client (RFC 8705, RFC 9449), so no profile of FAPI is met as a whole."

// secondRSAKey is the key of the second client.
var secondRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func TestCatalogueOpenID(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		c := &catalogue{testServer: ts, issuer: "https://as.example.com", clock: &clock{}}
		ts.registerKeys("fapi", []string{"PS256"}, clientRSAKey().Public())
		ts.registerKeys("fapi-second", []string{"PS256"}, secondRSAKey().Public())
		first, err := ts.store.Client(t.Context(), "fapi")
		check(t, err)
		recovering := *first
		recovering.Refresh = policy.RefreshFAPI2
		check(t, ts.store.PutClient(t.Context(), &recovering))
		c.second = ts.addClient(storage.Client{ID: "other-secret", Grants: recovering.Grants})
		// The clock moves by c.clock alone: one of the rows is two seconds beyond what clocks may differ.
		start := time.Now()
		now := func() time.Time { return start.Add(time.Duration(c.clock.offset.Load())) }
		for _, profile := range []struct {
			name, audience string
		}{{fapi1, policy.AudienceEither}, {fapi2, policy.AudienceIssuer}} {
			ts.start(func(config *authserver.Config) {
				config.Issuer, config.Now, config.Assertions.Audience = c.issuer, now, profile.audience
			})
			aud := c.issuer
			if profile.name == fapi1 {
				aud += "/oauth2/token"
			}
			c.keyed = signer{"fapi", jwt.SigningMethodPS256, clientRSAKey(), func() jwt.MapClaims {
				at := now().Unix()
				return jwt.MapClaims{"iss": "fapi", "sub": "fapi", "aud": aud, "jti": rand.Text(), "iat": at, "nbf": at, "exp": at + 60}
			}}
			rows := slices.DeleteFunc(slices.Clone(openIDRows), func(row catalogueRow) bool { return !strings.HasPrefix(row.name, profile.name) })
			runCatalogue(t, c, rows, map[string]int{fapi1: 10, fapi2: 12}[profile.name])
		}
		if len(openIDRows) != 22 {
			t.Errorf("%d rows", len(openIDRows))
		}
	})
}
