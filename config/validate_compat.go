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
		v.check("compat.upstream_cookies", !c.UpstreamCookies, "needs compat.upstream")
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
	v.positive("compat.upstream_idle_timeout", c.UpstreamIdleTimeout)
	v.positive("compat.upstream_max_time", c.UpstreamMaxTime)
	v.check("compat.upstream_max_body_bytes", c.UpstreamMaxBodyBytes >= 1024, "%d is less than 1024", c.UpstreamMaxBodyBytes)
	v.check("compat.upstream_max_requests", c.UpstreamMaxRequests > 0, "must be positive")
	v.check("compat.upstream_operations", len(c.UpstreamOperations) == 0 || c.UpstreamUsername != "", "is for compat.upstream_username only")
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
