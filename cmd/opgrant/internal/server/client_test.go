package server

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// testKeySet is the key of RFC 7517, appendix A.1.
const testKeySet = `{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

func TestCheckClient(t *testing.T) {
	for name, row := range map[string]struct {
		client config.Client
		want   string // empty: valid
	}{
		"public":                   {config.Client{ID: "c", Grants: []string{"password"}}, ""},
		"with a secret":            {config.Client{ID: "c", Grants: []string{"client_credentials"}, Secret: "long enough"}, ""},
		"with keys":                {config.Client{ID: "c", Grants: []string{"client_credentials"}, JWKS: testKeySet}, ""},
		"an empty key set":         {config.Client{ID: "c", Grants: []string{"client_credentials"}, JWKS: `{"keys":[]}`}, "jwks: has no keys"},
		"keys that are not JSON":   {config.Client{ID: "c", Grants: []string{"password"}, JWKS: "PEM"}, "jwks: "},
		"no grace":                 {config.Client{ID: "c", Grants: []string{"password"}, Grace: new(0 * time.Second)}, ""},
		"grace over a minute":      {config.Client{ID: "c", Grants: []string{"password"}, Grace: new(61 * time.Second)}, "grace: "},
		"public that introspects":  {config.Client{ID: "c", Grants: []string{"password"}, Introspect: true}, "introspect: "},
		"legacy with ES256":        {config.Client{ID: "c", Grants: []string{"password"}, Profile: "legacy", Algorithm: "ES256"}, "algorithm: legacy"},
		"no grant":                 {config.Client{ID: "c"}, "grants: lists no grant"},
		"no id":                    {config.Client{Grants: []string{"password"}}, "id: is missing"},
		"negative sessions":        {config.Client{ID: "c", Grants: []string{"password"}, SessionsPerUser: -1}, "sessions_per_user: "},
		"short secret":             {config.Client{ID: "c", Grants: []string{"password"}, Secret: "short"}, "secret: shorter"},
		"bad scope, reported once": {config.Client{ID: "c", Grants: []string{"password"}, Scopes: []string{"a b"}}, "scopes: "},
		"bad default scope":        {config.Client{ID: "c", Grants: []string{"password"}, DefaultScopes: []string{"a b"}}, "default_scopes: "},
	} {
		t.Run(name, func(t *testing.T) {
			problems := CheckClient(row.client)
			switch {
			case row.want == "" && len(problems) > 0:
				t.Errorf("got %v, want no problem", problems)
			case row.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), row.want)):
				t.Errorf("got %v, want %s…", problems, row.want)
			}
		})
	}
}

// Every setting of a configured client reaches the store: a new field that the translation forgets fails here.
func TestEverySettingOfAClientIsTranslated(t *testing.T) {
	full := config.Client{
		ID: "id", Name: "name", Secret: "a secret", JWKS: testKeySet, Grants: []string{"password"},
		Scopes: []string{"a", "b"}, DefaultScopes: []string{"a"}, Audience: []string{"aud"}, Profile: "standard", Algorithm: "ES256",
		AccessTTL: time.Minute, RefreshTTL: time.Hour, MaxSessionTTL: 2 * time.Hour, Refresh: "rotate", Grace: new(time.Second),
		SessionsPerUser: 3, Introspect: true, ExchangeFrom: []string{"old"}, Origins: []string{"https://app.example"},
	}
	for _, missing := range zeroFields(full) {
		t.Errorf("the test sets no %s", missing)
	}
	record := clientRecord(full, "hash")
	// A client with a secret is not public, the server has no authorization endpoint, and the store sets the generation.
	if missing := zeroFields(*record); !slices.Equal(missing, []string{"Public", "RedirectURIs", "ResponseTypes", "Generation"}) {
		t.Errorf("not translated: %q", missing)
	}
}

func zeroFields(s any) []string {
	var names []string
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	return names
}
