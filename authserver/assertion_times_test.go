package authserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
)

// RFC 7523 section 3, items 3 to 6. The server's clock stands still.
func TestTimesAndAudienceOfAssertions(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	at := func(name string, d time.Duration) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c["iat"] = now.Unix(); c[name] = now.Add(d).Unix() }
	}
	aud := func(values ...any) func(ts *testServer) func(jwt.MapClaims) {
		return func(ts *testServer) func(jwt.MapClaims) {
			return func(c jwt.MapClaims) {
				list := make([]any, len(values))
				for i, v := range values {
					list[i] = strings.Replace(v.(string), "URL", ts.url, 1)
				}
				if c["aud"] = list; len(list) == 1 {
					c["aud"] = list[0]
				}
			}
		}
	}
	day := authserver.Assertions{MaxTTL: 24 * time.Hour}
	issuer := authserver.Assertions{Audience: policy.AudienceIssuer}
	either := authserver.Assertions{Audience: policy.AudienceEither}
	for name, row := range map[string]struct {
		rules    authserver.Assertions
		change   func(jwt.MapClaims)
		audience func(*testServer) func(jwt.MapClaims)
		accepted bool
	}{
		"an hour":                           {change: at("exp", time.Hour), accepted: true},
		"an hour, clock 2 s ahead":          {change: at("exp", time.Hour+2*time.Second), accepted: true},
		"an hour, clock a minute ahead":     {change: at("exp", time.Hour+time.Minute), accepted: true},
		"an hour, clock two minutes ahead":  {change: at("exp", time.Hour+2*time.Minute)},
		"a day":                             {change: at("exp", 24*time.Hour)},
		"a day, where it is allowed":        {rules: day, change: at("exp", 24*time.Hour), accepted: true},
		"two days, where one is allowed":    {rules: day, change: at("exp", 48*time.Hour)},
		"issued a minute ahead":             {change: at("iat", time.Minute), accepted: true},
		"issued two minutes ahead":          {change: at("iat", 2*time.Minute)},
		"issued an hour ago":                {change: at("iat", -time.Hour), accepted: true},
		"issued two hours ago":              {change: at("iat", -2*time.Hour)},
		"issued two hours ago, of a day":    {rules: day, change: at("iat", -2*time.Hour), accepted: true},
		"issued a year ago, of a day":       {rules: day, change: at("iat", -365*24*time.Hour)},
		"not before two minutes from now":   {change: at("nbf", 2*time.Minute)},
		"without a time of issue":           {change: func(c jwt.MapClaims) { delete(c, "iat") }, accepted: true},
		"for the token endpoint":            {audience: aud("URL/oauth2/token"), accepted: true},
		"for it and another":                {audience: aud("URL/oauth2/token", "https://elsewhere.example"), accepted: true},
		"for another endpoint":              {audience: aud("URL/oauth2/revoke")},
		"for another":                       {audience: aud("https://elsewhere.example")},
		"for nobody":                        {change: func(c jwt.MapClaims) { delete(c, "aud") }},
		"either: for the token endpoint":    {rules: either, audience: aud("URL/oauth2/token"), accepted: true},
		"either: for the issuer":            {rules: either, audience: aud("URL"), accepted: true},
		"issuer: for the issuer":            {rules: issuer, audience: aud("URL"), accepted: true},
		"issuer: for the token endpoint":    {rules: issuer, audience: aud("URL/oauth2/token")},
		"issuer: for both":                  {rules: issuer, audience: aud("URL", "URL/oauth2/token")},
		"issuer: for the issuer and others": {rules: issuer, audience: aud("URL", "https://elsewhere.example")},
	} {
		t.Run(name, func(t *testing.T) {
			ts := onFake(t)
			ts.start(func(c *authserver.Config) {
				c.Assertions = row.rules
				c.Now = func() time.Time { return now }
			})
			ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			check(t, err)
			ts.registerKeys("robot", []string{""}, ec.Public())
			change := row.change
			if row.audience != nil {
				change = row.audience(ts)
			}
			want := 401
			if row.accepted {
				want = 200
			}
			if r := ts.byAssertion(ts.assertion("robot", jwt.SigningMethodES256, ec, change)); r.status != want {
				t.Errorf("private_key_jwt: %d %s", r.status, r.raw)
			}
			grant := ts.assertion("robot", jwt.SigningMethodES256, ec, func(c jwt.MapClaims) { change(c); c["jti"] = "other" })
			if r := ts.post("/oauth2/token", "", "grant_type", jwtBearerGrant, "assertion", grant); (r.status == 200) != row.accepted || r.status != 200 && r.text("error") != "invalid_grant" {
				t.Errorf("JWT bearer grant: %d %s", r.status, r.raw)
			}
		})
	}
}

func TestAssertionSettingsAreChecked(t *testing.T) {
	for _, rules := range []authserver.Assertions{{MaxTTL: -1}, {MaxTTL: time.Second}, {MaxTTL: 25 * time.Hour}, {Audience: "any"}} {
		if _, err := authserver.New(authserver.Config{Issuer: "https://a.example", Assertions: rules}); err == nil || !strings.Contains(err.Error(), "assertions: ") {
			t.Errorf("%+v: %v", rules, err)
		}
	}
}
