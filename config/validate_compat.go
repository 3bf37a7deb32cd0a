package config

import (
	"fmt"
	"net/url"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
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

func (v *validation) clients(list []Client) {
	seen := map[string]bool{}
	for i, c := range list {
		at := fmt.Sprintf("clients[%d].", i)
		v.check(at+"id", c.ID == "" || !seen[c.ID], "%q stands in the list twice", c.ID)
		seen[c.ID] = true
		if c.Secret != "" {
			v.include(at, policy.SecretProblems(string(c.Secret)))
		}
		v.include(at, c.policy().Problems())
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
