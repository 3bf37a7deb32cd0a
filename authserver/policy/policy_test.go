package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

func TestProblemsOfAClient(t *testing.T) {
	for name, row := range map[string]struct {
		change func(c *policy.Client)
		key    string // of the one problem, empty for none
	}{
		"valid":                         {func(*policy.Client) {}, ""},
		"public":                        {func(c *policy.Client) { c.Public, c.Secrets = true, 0 }, ""},
		"keys instead of a secret":      {func(c *policy.Client) { c.Secrets, c.KeySet = 0, []byte(`{"keys":[`+ecKey+`]}`) }, ""},
		"two secrets":                   {func(c *policy.Client) { c.Secrets = 2 }, ""},
		"introspection without a grant": {func(c *policy.Client) { c.Grants, c.Introspect = nil, true }, ""},
		"no ID":                         {func(c *policy.Client) { c.ID = "" }, "id"},
		"an ID with a line end":         {func(c *policy.Client) { c.ID = "a\nb" }, "id"},
		"an ID too long":                {func(c *policy.Client) { c.ID = strings.Repeat("x", 201) }, "id"},
		"no credentials":                {func(c *policy.Client) { c.Secrets = 0 }, "secret"},
		"public with a secret":          {func(c *policy.Client) { c.Public = true }, "secret"},
		"three secrets":                 {func(c *policy.Client) { c.Secrets = 3 }, "secret"},
		"keys that are not JSON":        {func(c *policy.Client) { c.KeySet = []byte("{") }, "jwks"},
		"no grant":                      {func(c *policy.Client) { c.Grants = nil }, "grants"},
		"an unknown grant":              {func(c *policy.Client) { c.Grants = []string{"passwrd"} }, "grants"},
		"a grant for confidential clients": {func(c *policy.Client) {
			c.Public, c.Secrets, c.Grants = true, 0, []string{policy.GrantClientCredentials}
		}, "grants"},
		"a scope with a space":     {func(c *policy.Client) { c.Scopes = []string{"a b"} }, "scopes"},
		"an empty default scope":   {func(c *policy.Client) { c.DefaultScopes = []string{""} }, "default_scopes"},
		"an unknown profile":       {func(c *policy.Client) { c.Profile = "old" }, "profile"},
		"an unknown algorithm":     {func(c *policy.Client) { c.Algorithm = "HS256" }, "algorithm"},
		"legacy with ES256":        {func(c *policy.Client) { c.Profile, c.Algorithm = policy.ProfileLegacy, policy.ES256 }, "algorithm"},
		"a negative TTL":           {func(c *policy.Client) { c.AccessTTL = -1 }, "access_ttl"},
		"an unknown refresh mode":  {func(c *policy.Client) { c.Refresh = "never" }, "refresh"},
		"strict":                   {func(c *policy.Client) { c.Refresh = policy.RefreshStrict }, ""},
		"fapi2":                    {func(c *policy.Client) { c.Refresh = policy.RefreshFAPI2 }, ""},
		"fapi2 for a public one":   {func(c *policy.Client) { c.Refresh, c.Public, c.Secrets = policy.RefreshFAPI2, true, 0 }, "refresh"},
		"static for a public one":  {func(c *policy.Client) { c.Refresh, c.Public, c.Secrets = policy.RefreshStatic, true, 0 }, ""},
		"strict with a grace":      {func(c *policy.Client) { c.Refresh, c.Grace = policy.RefreshStrict, time.Second }, "grace"},
		"fapi2 with a grace":       {func(c *policy.Client) { c.Refresh, c.Grace = policy.RefreshFAPI2, time.Second }, "grace"},
		"static with a grace":      {func(c *policy.Client) { c.Refresh, c.Grace = policy.RefreshStatic, 2*policy.MaxGrace }, "grace"},
		"grace by its old name":    {func(c *policy.Client) { c.Refresh, c.Grace = policy.RefreshRotate, time.Second }, ""},
		"a grace too long":         {func(c *policy.Client) { c.Grace = policy.MaxGrace + time.Second }, "grace"},
		"a negative session limit": {func(c *policy.Client) { c.SessionsPerUser = -1 }, "sessions_per_user"},
		"exchange by a public client": {func(c *policy.Client) {
			c.Public, c.Secrets, c.Grants = true, 0, []string{policy.GrantTokenExchange}
		}, "grants"},
		"exchange by the client of the operations API": {func(c *policy.Client) {
			c.Public, c.Secrets, c.Grants, c.Profile = true, 0, []string{policy.GrantTokenExchange}, policy.ProfileLegacy
		}, ""},
		"exchange without the grant": {func(c *policy.Client) { c.ExchangeFrom = []string{"old"} }, "exchange_from"},
		"exchange from nobody": {func(c *policy.Client) {
			c.Grants, c.ExchangeFrom = []string{policy.GrantTokenExchange}, []string{""}
		}, "exchange_from"},
		"an origin": {func(c *policy.Client) { c.Origins = []string{"https://app.example.org"} }, ""},
		"a path":    {func(c *policy.Client) { c.Origins = []string{"https://app.example.org/path"} }, "origins"},
		"too many origins": {func(c *policy.Client) {
			c.Origins = slices.Repeat([]string{"https://app.example.org"}, policy.MaxOrigins+1)
		}, "origins"},
		"code": {func(c *policy.Client) {
			c.Grants, c.RedirectURIs = []string{policy.GrantAuthorizationCode, policy.GrantImplicit}, []string{"https://app.example/done?x=1", "http://127.0.0.1/done", "app.example:/done"}
			c.ResponseTypes = []string{"code", "code id_token token", "id_token"}
		}, ""},
		"code without a redirect URI":     {func(c *policy.Client) { c.Grants = []string{policy.GrantAuthorizationCode} }, "grants"},
		"implicit without a redirect URI": {func(c *policy.Client) { c.Grants = []string{policy.GrantImplicit} }, "grants"},
		"a relative redirect URI":         {func(c *policy.Client) { c.RedirectURIs = []string{"/done"} }, "redirect_uris"},
		"a redirect URI with a fragment":  {func(c *policy.Client) { c.RedirectURIs = []string{"https://app.example/#"} }, "redirect_uris"},
		"a redirect URI that is run":      {func(c *policy.Client) { c.RedirectURIs = []string{"JavaScript:alert(1)"} }, "redirect_uris"},
		"a redirect URI of a scheme":      {func(c *policy.Client) { c.RedirectURIs = []string{"https:"} }, "redirect_uris"},
		"too many redirect URIs": {func(c *policy.Client) {
			c.RedirectURIs = slices.Repeat([]string{"https://app.example"}, policy.MaxRedirectURIs+1)
		}, "redirect_uris"},
		"an unknown response type": {func(c *policy.Client) {
			c.RedirectURIs, c.ResponseTypes = []string{"https://app.example"}, []string{"token2"}
		}, "response_types"},
		"an empty response type": {func(c *policy.Client) {
			c.RedirectURIs, c.ResponseTypes = []string{"https://app.example"}, []string{" "}
		}, "response_types"},
		"a response type without redirect URI": {func(c *policy.Client) { c.ResponseTypes = []string{"id_token"} }, "response_types"},
		"a response type without its grant": {func(c *policy.Client) {
			c.RedirectURIs, c.ResponseTypes = []string{"https://app.example"}, []string{"code"}
		}, "response_types"},
		"a token without its grant": {func(c *policy.Client) {
			c.RedirectURIs, c.ResponseTypes = []string{"https://app.example"}, []string{"id_token token"}
		}, "response_types"},
		"public introspection": {func(c *policy.Client) { c.Public, c.Secrets, c.Introspect = true, 0, true }, "introspect"},
	} {
		c := policy.Client{ID: "app", Secrets: 1, Grants: []string{policy.GrantPassword}, Scopes: []string{"read"}}
		row.change(&c)
		problems := c.Problems()
		if row.key == "" && len(problems) > 0 || row.key != "" && (len(problems) != 1 || problems[0].Key != row.key) {
			t.Errorf("%s: %v, want one problem with %q", name, problems, row.key)
		}
		if err := c.Validate(); (err == nil) != (row.key == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGrantNames(t *testing.T) {
	for _, grantType := range policy.GrantTypes() {
		short := policy.ShortGrant(grantType)
		if strings.Contains(short, ":") || policy.LongGrant(short) != grantType || policy.LongGrant(grantType) != grantType {
			t.Errorf("%s is %s, which is %s", grantType, short, policy.LongGrant(short))
		}
		if g, ok := policy.FindGrant(grantType); !ok || g.Type != grantType {
			t.Errorf("%s is not found", grantType)
		}
	}
	if g, ok := policy.FindGrant("authorization_code"); ok {
		t.Errorf("found %+v", g)
	}
	if slices.Contains(policy.GrantTypes(), "") {
		t.Error("a grant has no type")
	}
}

func TestProblemsOfPasswordCosts(t *testing.T) {
	for name, row := range map[string]struct {
		costs policy.PasswordCosts
		key   string
	}{
		"defaults":                {policy.PasswordCosts{}.WithDefaults(), ""},
		"little memory":           {policy.PasswordCosts{MemoryKiB: 64, Iterations: 1, Parallelism: 1}, "memory_kib"},
		"little memory in a test": {policy.PasswordCosts{MemoryKiB: 64, Iterations: 1, Parallelism: 1, InsecureCheap: true}, ""},
		"much memory":             {policy.PasswordCosts{MemoryKiB: 2 << 20, Iterations: 1, Parallelism: 1}, "memory_kib"},
		"many iterations":         {policy.PasswordCosts{MemoryKiB: 19 << 10, Iterations: 50, Parallelism: 1}, "iterations"},
		"much work":               {policy.PasswordCosts{MemoryKiB: 1 << 20, Iterations: 32, Parallelism: 1}, "iterations"},
		"no lane":                 {policy.PasswordCosts{MemoryKiB: 19 << 10, Iterations: 2}, "parallelism"},
	} {
		problems := row.costs.Problems()
		if row.key == "" && len(problems) > 0 || row.key != "" && (len(problems) != 1 || problems[0].Key != row.key) {
			t.Errorf("%s: %v, want one problem with %q", name, problems, row.key)
		}
	}
}
