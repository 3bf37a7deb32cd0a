package server

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
)

// rfc8037Key is the key of RFC 8037, appendix A.
var rfc8037Key = func() ed25519.PrivateKey {
	seed, _ := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	return ed25519.NewKeyFromSeed(seed)
}()

const rfc8037KeySet = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// The settings tokens.grants and assertions reach the endpoints.
func TestGrantsAndAssertionsOfTheConfiguration(t *testing.T) {
	site, _ := startServer(t, func(c *config.Config) {
		c.Tokens.Grants = []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantJWTBearer}
		c.Assertions.MaxTTL, c.Assertions.Audience = 2*time.Hour, policy.AudienceIssuer
		c.Clients = append(c.Clients, config.Client{ID: "robot", JWKS: config.Content(rfc8037KeySet), Grants: []string{policy.GrantJWTBearer}})
	})
	_, raw := get(t, site+"/.well-known/oauth-authorization-server")
	var metadata struct {
		Grants []string `json:"grant_types_supported"`
	}
	if err := json.Unmarshal([]byte(raw), &metadata); err != nil || !slices.Equal(metadata.Grants, []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantJWTBearer}) {
		t.Errorf("%v %s", err, raw)
	}
	for _, row := range []struct {
		audience string
		ttl      time.Duration
		status   int
	}{{site, 2 * time.Hour, 200}, {site, 3 * time.Hour, 400}, {site + "/oauth2/token", time.Hour, 400}} {
		claims := jwt.MapClaims{"iss": "robot", "sub": "robot", "aud": row.audience, "exp": time.Now().Add(row.ttl).Unix()}
		assertion, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(rfc8037Key)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {policy.GrantJWTBearer}, "assertion": {assertion}}
		response, err := http.Post(site+"/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != row.status {
			t.Errorf("for %s, %s: %d, want %d", row.audience, row.ttl, response.StatusCode, row.status)
		}
	}
}
