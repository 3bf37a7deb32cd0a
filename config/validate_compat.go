package config

import (
	"net/url"
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

func (v *validation) date(key string, d Date) {
	if d == "" {
		return
	}
	if _, err := d.parse(); err != nil {
		v.add(key, "%w", err)
	}
}
