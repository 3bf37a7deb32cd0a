package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// A session from login to revocation by golang.org/x/oauth2, with the access tokens verified by the served JWKS.
func TestThirdPartyClient(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
			for _, id := range []string{"web", "es", "ed"} {
				config := oauth2.Config{
					ClientID: id, ClientSecret: id + "-secret",
					Endpoint: oauth2.Endpoint{TokenURL: ts.url + "/oauth2/token", AuthStyle: style},
				}
				ctx := t.Context()
				first, err := config.PasswordCredentialsToken(ctx, "alice", "wonder land")
				check(t, err)
				if first.TokenType != "bearer" || first.RefreshToken == "" || time.Until(first.Expiry) < 59*time.Minute {
					t.Fatalf("token: %+v", first)
				}
				verifyByJWKS(t, ts, first.AccessToken)

				expired := *first
				expired.Expiry = time.Now().Add(-time.Minute)
				second, err := config.TokenSource(ctx, &expired).Token()
				check(t, err)
				if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
					t.Fatal("a refresh gave the same tokens again")
				}
				verifyByJWKS(t, ts, second.AccessToken)
				if !ts.active(second.AccessToken) {
					t.Fatal("a fresh access token is not active")
				}
				r := ts.post("/oauth2/revoke", id, "token", second.RefreshToken)
				if r.status != http.StatusOK || ts.active(second.AccessToken) || ts.active(first.AccessToken) {
					t.Fatalf("after revocation: %d, active %v %v", r.status, ts.active(second.AccessToken), ts.active(first.AccessToken))
				}
			}
		}
		machine := clientcredentials.Config{ClientID: "web", ClientSecret: "web-secret", TokenURL: ts.url + "/oauth2/token", Scopes: []string{"read"}}
		token, err := machine.Token(t.Context())
		check(t, err)
		claims := verifyByJWKS(t, ts, token.AccessToken)
		if claims["sub"] != "web" || claims["scope"] != "read" || token.RefreshToken != "" {
			t.Fatalf("client_credentials: %v", claims)
		}
	})
}

func verifyByJWKS(t *testing.T, ts *testServer, token string) jwt.MapClaims {
	t.Helper()
	set, err := keyfunc.NewDefaultCtx(t.Context(), []string{ts.url + "/.well-known/jwks.json"})
	check(t, err)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, set.Keyfunc, jwt.WithIssuer(ts.url), jwt.WithAudience(ts.url), jwt.WithExpirationRequired(),
		jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}), jwt.WithIssuedAt())
	check(t, err)
	if parsed.Header["typ"] != "at+jwt" {
		t.Fatalf("header %v", parsed.Header)
	}
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti", "iat", "exp", "sid"} {
		if claims[name] == nil {
			t.Errorf("claim %s is missing: %v", name, claims)
		}
	}
	return claims
}
