package authserver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"mime"
	"net/http"
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

func expiredFiveMinutes(claims jwt.MapClaims) {
	claims["exp"] = claims["iat"].(int64) - int64((5 * time.Minute).Seconds())
}

func withoutSubject(claims jwt.MapClaims) { delete(claims, "sub") }

func wrongAudience(claims jwt.MapClaims) { claims["aud"] = "https://api.example.com/userinfo" }

// later moves times of an assertion ahead.
func later(d time.Duration, names ...string) func(jwt.MapClaims) {
	return func(claims jwt.MapClaims) {
		for _, name := range names {
			claims[name] = claims[name].(int64) + int64(d.Seconds())
		}
	}
}

// refusedAssertion sends a changed assertion, after one without the change was accepted.
func refusedAssertion(change func(jwt.MapClaims)) func(*catalogue) error {
	return func(c *catalogue) error {
		return firstError(
			issued(c.byKey(c.keyed.sign(c, nil))),
			refusedWith(c.byKey(c.keyed.sign(c, change)), "invalid_client", "invalid_request"))
	}
}

// refusedWith checks an error response as the suite does (RFC 6749 section 5.2).
func refusedWith(r reply, codes ...string) error {
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	description := r.text("error_description")
	return firstError(err,
		must(kind == "application/json", "content type %q", kind),
		must(slices.Contains(codes, r.text("error")), "%d %s, want one of %s", r.status, r.raw, strings.Join(codes, ", ")),
		must(r.status == http.StatusBadRequest || r.status == http.StatusUnauthorized && r.text("error") == "invalid_client", "status %d with %s", r.status, r.text("error")),
		must(!strings.ContainsFunc(description, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }), "description %q", description),
		must(r.body["error_uri"] == nil, "an error_uri"))
}

func withoutAssertion(c *catalogue) error {
	return refusedWith(c.form("/oauth2/token", "", "grant_type", "client_credentials", "client_id", c.keyed.id), "invalid_client", "invalid_request")
}

// secondClientsID names the second client, in client_id and assertion, and signs with the key of the first.
func secondClientsID(c *catalogue) error {
	const second = "fapi-second"
	assertion := c.keyed.sign(c, func(claims jwt.MapClaims) { claims["iss"], claims["sub"] = second, second })
	return firstError(
		refusedWith(c.byKey(assertion, "client_id", second), "invalid_client", "invalid_grant"),
		refusedWith(c.byKey(c.keyed.sign(c, nil), "client_id", second), "invalid_client", "invalid_grant"))
}

// signedRS256 signs with the right key and the wrong algorithm: the key is registered for PS256.
func signedRS256(c *catalogue) error {
	return firstError(
		issued(c.byKey(c.keyed.sign(c, nil))),
		refusedWith(c.byKey(signer{c.keyed.id, jwt.SigningMethodRS256, c.keyed.key, c.keyed.claims}.sign(c, nil)), "invalid_client"))
}

// fapiRefresh is the module about refresh tokens. FAPI 2 adds that a client which lost the response of a refresh comes again
// after 30 seconds with the token that it has.
func (c *catalogue) fapiRefresh(recovery bool) error {
	authenticated := func() []string {
		return []string{"client_assertion_type", assertionType, "client_assertion", c.keyed.sign(c, nil)}
	}
	login := c.form("/oauth2/token", "", append(passwordGrant(), authenticated()...)...)
	token := login.text("refresh_token")
	first := c.refreshAs("", token, authenticated()...)
	if err := firstError(issued(login), issued(first), must(token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r < 0x20 || r > 0x7e }), "refresh token %q", token)); err != nil {
		return err
	}
	if recovery {
		c.clock.advance(30 * time.Second)
		again := c.refreshAs("", token, authenticated()...)
		if err := firstError(issued(again), must(c.active(first.text("access_token")), "the first response is not good any more")); err != nil {
			return fmt.Errorf("after 30 seconds: %w", err)
		}
	}
	if next := first.text("refresh_token"); next != "" {
		token = next
	}
	err := firstError(
		refusedWith(c.refreshAs("", token), "invalid_client", "invalid_grant", "invalid_request"),
		refusedWith(c.refreshAs(c.second.header(), token), "invalid_grant"))
	if err != nil {
		return err
	}
	if r := c.refreshAs("", token, authenticated()...); r.status == http.StatusOK {
		return fmt.Errorf("a refresh without proof of possession is answered with tokens")
	}
	return nil
}

// fapi2Discovery is the module about the metadata, as it is for a server with the client credentials grant alone.
func fapi2Discovery(c *catalogue) error {
	r := c.raw(http.MethodGet, "/.well-known/oauth-authorization-server", "")
	list := func(name string) []any { values, _ := r.body[name].([]any); return values }
	for name := range r.body {
		if !slices.Contains(rfc8414, name) {
			return fmt.Errorf("RFC 8414 does not know %s", name)
		}
	}
	err := firstError(
		must(r.status == http.StatusOK && r.text("issuer") == c.issuer, "issuer %q", r.text("issuer")),
		must(strings.HasPrefix(r.text("token_endpoint"), "https://"), "token endpoint %q", r.text("token_endpoint")),
		must(r.body["response_types_supported"] != nil, "no response_types_supported"),
		must(slices.Contains(list("token_endpoint_auth_methods_supported"), any("private_key_jwt")), "no private_key_jwt"),
		must(slices.ContainsFunc(list("token_endpoint_auth_signing_alg_values_supported"), func(alg any) bool {
			return alg == "PS256" || alg == "ES256" || alg == "EdDSA"
		}), "no algorithm that FAPI allows"))
	if err != nil {
		return err
	}
	return must(r.body["tls_client_certificate_bound_access_tokens"] == true || len(list("dpop_signing_alg_values_supported")) > 0,
		"the metadata has neither tls_client_certificate_bound_access_tokens nor dpop_signing_alg_values_supported")
}

// rfc8414 are the members that the RFC defines and that this server may have.
var rfc8414 = []string{
	"issuer", "token_endpoint", "jwks_uri", "scopes_supported", "response_types_supported", "grant_types_supported",
	"token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "service_documentation",
	"revocation_endpoint", "revocation_endpoint_auth_methods_supported", "revocation_endpoint_auth_signing_alg_values_supported",
	"introspection_endpoint", "introspection_endpoint_auth_methods_supported", "introspection_endpoint_auth_signing_alg_values_supported",
}

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
