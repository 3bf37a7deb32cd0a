package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"
)

func (v *validation) compat(c Compat) {
	if c.Disabled {
		return
	}
	v.check("compat.client", c.Client != "", "must name a client")
	v.date("compat.deprecation", c.Deprecation)
	v.date("compat.sunset", c.Sunset)
	if c.Notice != "" {
		u, err := url.Parse(c.Notice)
		v.check("compat.notice", err == nil && u.Host != "", "%q is not a URL", c.Notice)
	}
	v.check("compat.basic_cache_ttl", c.BasicCacheTTL >= 0 && c.BasicCacheTTL <= time.Hour, "%s is not between 0s and 1h", c.BasicCacheTTL)
	if c.Upstream == "" {
		v.check("compat.shadow", !c.Shadow, "needs compat.upstream")
		return
	}
	u, err := url.Parse(c.Upstream)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		v.add("compat.upstream", "not a URL like http://127.0.0.1:9935")
	case u.User != nil:
		v.add("compat.upstream", "holds credentials; set compat.upstream_username and compat.upstream_password")
	}
	v.positive("compat.upstream_timeout", c.UpstreamTimeout)
	v.check("compat.upstream_password", (c.UpstreamUsername == "") == (c.UpstreamPassword == ""),
		"compat.upstream_username and compat.upstream_password are set together or not at all")
}

func (v *validation) date(key, value string) {
	if value == "" {
		return
	}
	_, err := ParseDate(value)
	v.check(key, err == nil, "%q is not a date like 2027-06-30 or 2027-06-30T12:00:00Z", value)
}

// ParseDate reads the dates of the configuration: a day, which begins at midnight UTC, or an RFC 3339 time.
func ParseDate(value string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date", value)
}

const grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

var grants = []string{
	"password",
	"refresh_token",
	"client_credentials",
	grantExchange,
	"urn:ietf:params:oauth:grant-type:jwt-bearer",
}

func (v *validation) clients(list []Client) {
	seen := map[string]bool{}
	for i, c := range list {
		at := fmt.Sprintf("clients[%d].", i)
		v.check(at+"id", c.ID != "", "is missing")
		v.check(at+"id", c.ID == "" || !seen[c.ID], "%q stands in the list twice", c.ID)
		seen[c.ID] = true
		v.check(at+"grants", len(c.Grants) > 0, "lists no grant, so the client could do nothing")
		for _, grant := range c.Grants {
			v.oneOf(at+"grants", grant, grants...)
		}
		v.check(at+"grants", !c.Public() || !slices.Contains(c.Grants, "client_credentials"),
			"client_credentials needs a secret or keys (RFC 6749, section 4.4)")
		v.check(at+"secret", c.Secret == "" || len(c.Secret) >= 8, "shorter than 8 characters")
		if c.Profile != "" {
			v.oneOf(at+"profile", c.Profile, "standard", "legacy")
		}
		if c.Refresh != "" {
			v.oneOf(at+"refresh", c.Refresh, "rotate", "static")
		}
		if c.Algorithm != "" {
			v.oneOf(at+"algorithm", c.Algorithm, algorithms...)
			v.check(at+"algorithm", c.Profile != "legacy" || c.Algorithm == "RS256", "legacy clients know RS256 alone")
		}
		for _, ttl := range []struct {
			key string
			d   time.Duration
		}{{"access_ttl", c.AccessTTL}, {"refresh_ttl", c.RefreshTTL}, {"max_session_life", c.MaxSessionLife}} {
			v.check(at+ttl.key, ttl.d >= 0, "is negative")
		}
		if c.Grace != nil {
			v.check(at+"grace", *c.Grace >= 0 && *c.Grace <= time.Minute, "%s is not between 0s and 60s", *c.Grace)
		}
		v.check(at+"jwks", c.JWKS == "" || json.Valid([]byte(c.JWKS)), "is not JSON")
		v.check(at+"sessions_per_user", c.SessionsPerUser >= 0, "is negative")
		v.check(at+"introspect", !c.Introspect || !c.Public(), "a public client may not introspect: anyone can be it")
	}
}

func (v *validation) users(list []User) {
	seen := map[string]bool{}
	for i, u := range list {
		at := fmt.Sprintf("users[%d].", i)
		v.check(at+"username", u.Username != "", "is missing")
		v.check(at+"username", u.Username == "" || !seen[u.Username], "%q stands in the list twice", u.Username)
		seen[u.Username] = true
		v.check(at+"password", u.Password != "", "is missing; set password or password_file")
	}
}
