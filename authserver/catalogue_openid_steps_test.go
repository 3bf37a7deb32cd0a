package authserver_test

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

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
		return errors.New("a refresh without proof of possession is answered with tokens")
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
