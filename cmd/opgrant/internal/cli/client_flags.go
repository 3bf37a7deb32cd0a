package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// clientFlags are the settings of `client add` and `client update`. Only flags that were given count.
type clientFlags struct {
	public                             bool
	name, profile, algorithm, refresh  string
	grants, scopes, defaults, aud      []string
	access, refreshTTL, session, grace time.Duration
	sessions                           int
	introspect                         bool
	from, origins                      []string
	jwksFile                           string
}

func (f *clientFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "descriptive `text`")
	flags.StringSliceVar(&f.grants, "grant", nil, "grant `types` that it may use, such as password,refresh_token")
	flags.StringSliceVar(&f.scopes, "scope", nil, "`scopes` that it may request")
	flags.StringSliceVar(&f.defaults, "default-scope", nil, "`scopes` of a request that names none (default: all)")
	flags.StringSliceVar(&f.aud, "audience", nil, "resource `servers` that it may request tokens for")
	flags.StringVar(&f.profile, "profile", "", "form of its tokens: standard or legacy (the operations API)")
	flags.StringVar(&f.algorithm, "algorithm", "", "signing algorithm of its access tokens: RS256, ES256 or EdDSA")
	flags.DurationVar(&f.access, "access-ttl", 0, "TTL of its access tokens (default: the server's)")
	flags.DurationVar(&f.refreshTTL, "refresh-ttl", 0, "TTL of its refresh tokens (default: the server's)")
	flags.DurationVar(&f.session, "max-session-ttl", 0, "end a session this long after its login (default: never)")
	flags.StringVar(&f.refresh, "refresh", "", "strict: a refresh token is valid once; grace: and gets the same answer again for a short time (default); fapi2, static: it is valid until it expires (fapi2: confidential clients)")
	_ = cmd.RegisterFlagCompletionFunc("refresh", cobra.FixedCompletions(policy.RefreshPolicies(), cobra.ShellCompDirectiveNoFileComp))
	flags.DurationVar(&f.grace, "grace", 0, "with the refresh policy grace: how long a rotated refresh token gets the same answer again, up to 60s (default 10s)")
	flags.IntVar(&f.sessions, "sessions-per-user", 0, "end the oldest session when a login exceeds this number (default: any number)")
	flags.BoolVar(&f.introspect, "introspect", false, "allow it to introspect tokens of other clients")
	flags.StringSliceVar(&f.from, "exchange-from", nil, "`clients` whose tokens it may exchange for its own (default: nobody's)")
	flags.StringSliceVar(&f.origins, "origin", nil, "`origins` of browser applications that use it, such as https://app.example.org (default: none)")
	flags.StringVar(&f.jwksFile, "jwks-file", "", "JWKS `file` with public keys for private_key_jwt and assertions")
}

// apply writes the flags that were given onto the client.
func (f *clientFlags) apply(cmd *cobra.Command, c *storage.Client) error {
	set := map[string]func(){
		"public":            func() { c.Public = f.public },
		"name":              func() { c.Name = f.name },
		"grant":             func() { c.Grants = mapStrings(f.grants, policy.LongGrant) },
		"scope":             func() { c.Scopes = f.scopes },
		"default-scope":     func() { c.Default = f.defaults },
		"audience":          func() { c.Audience = f.aud },
		"profile":           func() { c.Profile = f.profile },
		"algorithm":         func() { c.Algorithm = f.algorithm },
		"access-ttl":        func() { c.AccessTTL = storage.Duration(f.access) },
		"refresh-ttl":       func() { c.RefreshTTL = storage.Duration(f.refreshTTL) },
		"max-session-ttl":   func() { c.MaxSessionTTL = storage.Duration(f.session) },
		"refresh":           func() { c.Refresh = f.refresh },
		"grace":             func() { c.Grace = new(storage.Duration(f.grace)) },
		"sessions-per-user": func() { c.SessionsPerUser = f.sessions },
		"introspect":        func() { c.Introspect = f.introspect },
		"exchange-from":     func() { c.ExchangeFrom = f.from },
		"origin":            func() { c.Origins = f.origins },
	}
	if cmd.Flags().Changed("refresh") && !policy.HasGrace(f.refresh) {
		c.Grace = nil // of the policy before
	}
	for name, write := range set {
		if cmd.Flags().Changed(name) {
			write()
		}
	}
	if f.jwksFile == "" {
		return nil
	}
	raw, err := os.ReadFile(f.jwksFile)
	if err != nil {
		return err
	}
	c.JWKS = raw
	return nil
}

// mapStrings returns the list with f applied to each element.
func mapStrings(list []string, f func(string) string) []string {
	mapped := make([]string, len(list))
	for i, s := range list {
		mapped[i] = f(s)
	}
	return mapped
}
