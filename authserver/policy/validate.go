package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is wrong: the key of the configuration that it is about, and a sentence.
type Problem struct{ Key, Text string }

// Error returns key and sentence.
func (p Problem) Error() string { return p.Key + ": " + p.Text }

// Problems collects what is wrong.
type Problems []Problem

// Err joins the problems into one error, nil where there is none.
func (p Problems) Err() error {
	list := make([]error, len(p))
	for i := range p {
		list[i] = p[i]
	}
	return errors.Join(list...)
}

func (p *Problems) check(key string, ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
}

func (p *Problems) oneOf(key, value string, allowed ...string) {
	p.check(key, slices.Contains(allowed, value), "%q is not one of %s", value, strings.Join(allowed, ", "))
}

// Problems reports everything that is wrong with the client. The keys are those of the configuration file.
func (c Client) Problems() Problems {
	var p Problems
	if c.ID == "" {
		p.check("id", false, "is missing")
	} else {
		p.check("id", len(c.ID) <= 200 && !strings.ContainsFunc(c.ID, notPrintable), "must be 1 to 200 printable ASCII characters")
	}
	c.checkCredentials(&p)
	p.check("grants", len(c.Grants) > 0 || c.Introspect, "lists no grant, so the client could do nothing")
	for _, grant := range c.Grants {
		p.oneOf("grants", grant, c.grantTypes()...)
		known, _ := FindGrant(grant)
		p.check("grants", grant != GrantTokenExchange || !c.Public || c.Legacy(), "%s is not for public clients: anyone can be it", grant)
		p.check("grants", !known.Confidential || !c.Public, "%s is not for public clients: it needs a secret or keys (RFC 6749, section 4.4)", grant)
	}
	for _, scope := range c.Scopes {
		p.check("scopes", scopeToken(scope), "%q is not a scope token of RFC 6749, section 3.3", scope)
	}
	for _, scope := range c.DefaultScopes {
		// One that is also in Scopes is reported there.
		p.check("default_scopes", scopeToken(scope) || slices.Contains(c.Scopes, scope), "%q is not a scope token of RFC 6749, section 3.3", scope)
	}
	if c.Profile != "" {
		p.oneOf("profile", c.Profile, ProfileStandard, ProfileLegacy)
	}
	if c.Algorithm != "" {
		p.oneOf("algorithm", c.Algorithm, Algorithms()...)
		p.check("algorithm", !c.Legacy() || c.Algorithm == RS256, "legacy clients know RS256 alone")
	}
	for _, ttl := range []struct {
		key string
		d   time.Duration
	}{{"access_ttl", c.AccessTTL}, {"refresh_ttl", c.RefreshTTL}, {"max_session_ttl", c.MaxSessionTTL}} {
		p.check(ttl.key, ttl.d >= 0, "is negative")
	}
	if c.Refresh != "" {
		p.oneOf("refresh", c.Refresh, RefreshPolicies()...)
	}
	p.check("refresh", c.Refresh != RefreshFAPI2 || !c.Public, "fapi2 is for confidential clients: the refresh tokens of public ones rotate (RFC 9700, section 4.14.2)")
	if c.Grace != 0 && slices.Contains(RefreshPolicies(), c.Refresh) && !HasGrace(c.Refresh) {
		p.check("grace", false, "is for the refresh policies grace and rotate, not for %s", c.Refresh)
	} else {
		p.check("grace", c.Grace >= 0 && c.Grace <= MaxGrace, "%s is not between 0s and %s", c.Grace, MaxGrace)
	}
	p.check("sessions_per_user", c.SessionsPerUser >= 0, "is negative")
	p.check("exchange_from", len(c.ExchangeFrom) == 0 || slices.Contains(c.Grants, GrantTokenExchange), "needs the grant %s", GrantTokenExchange)
	for _, id := range c.ExchangeFrom {
		p.check("exchange_from", id != "" && len(id) <= 200 && !strings.ContainsFunc(id, notPrintable), "%q is not the ID of a client", id)
	}
	p.redirects(c)
	p.origins(c.Origins)
	p.check("introspect", !c.Introspect || !c.Public, "a public client may not introspect: anyone can be it")
	return p
}

func (c Client) checkCredentials(p *Problems) {
	p.check("secret", c.Public || c.Secrets > 0 || len(c.KeySet) > 0, "a confidential client needs a secret or keys")
	p.check("secret", !c.Public || c.Secrets == 0, "a public client has no secret")
	p.check("secret", c.Secrets <= MaxSecrets, "at most %d secrets are good at once", MaxSecrets)
	if len(c.KeySet) > 0 {
		p.keySet(c.KeySet)
	}
}

// Validate returns all Problems as one error, or nil.
func (c Client) Validate() error { return c.Problems().Err() }

func notPrintable(r rune) bool { return r < 0x20 || r > 0x7e }

// scopeToken checks the characters of one scope (RFC 6749 section 3.3).
func scopeToken(scope string) bool {
	return scope != "" && !strings.ContainsFunc(scope, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '"' || r == '\\' })
}
