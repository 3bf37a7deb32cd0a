package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

// validate returns every problem of the configuration, joined. Each begins with its key.
func (c *Config) validate(src Source) error {
	v := &validation{}
	v.listener("listen", c.Listen)
	if c.AdminListen != "off" {
		v.listener("admin_listen", c.AdminListen)
		if c.AdminListen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
			v.add("admin_listen", "the same as listen: metrics and profiles never share the public listener")
		}
	}
	for _, host := range c.Admin.Hosts {
		_, err := netip.ParseAddr(host)
		v.check("admin.hosts", err == nil || host != "" && !strings.ContainsAny(host, "/:*[] "), "%q is neither a name nor an address, without port", host)
	}
	v.issuer(c)
	if s := string(c.Secret); s != "" && len(s) < 16 {
		v.add("secret", "shorter than 16 characters")
	}
	v.check("other_secrets", len(c.OtherSecrets) == 0 || c.Secret != "", "set without secret, which encrypts")
	for i, s := range c.OtherSecrets {
		v.check("other_secrets", len(s) >= 16, "number %d is shorter than 16 characters", i+1)
	}
	for _, proxy := range c.TrustedProxies {
		_, err := netip.ParsePrefix(proxy)
		v.check("trusted_proxies", err == nil, "%q is not a network like 10.0.0.0/8", proxy)
	}
	for _, name := range c.AcceptWarnings {
		v.oneOf("accept_warnings", name, warningNames...)
	}
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "json", "text")
	v.http(c.HTTP)
	v.redis(c.Redis)
	v.durability(c.Durability, c.Redis.Timeout)
	v.check("tokens.access_ttl", c.Tokens.AccessTTL >= 0, "is negative")
	v.check("tokens.refresh_ttl", c.Tokens.RefreshTTL >= 0, "is negative")
	v.include("tokens.", policy.OfferedProblems(c.Tokens.Grants, !c.Compat.Disabled))
	v.check("assertions.max_ttl", c.Assertions.MaxTTL != 0, "must be positive")
	v.include("assertions.", policy.AssertionProblems(c.Assertions.MaxTTL, c.Assertions.Audience))
	v.include("keys.", policy.RSABitsProblems(c.Keys.Bits))
	v.check("keys.rotate_every", c.Keys.RotateEvery == 0 || c.Keys.RotateEvery >= time.Hour, "shorter than an hour")
	v.positive("keys.lead", c.Keys.Lead)
	v.check("keys.max_token_ttl", c.Keys.MaxTokenTTL >= c.Tokens.RefreshTTL, "shorter than tokens.refresh_ttl: tokens would outlive their key")
	v.include("passwords.", c.Passwords.Costs().Problems())
	v.include("passwords.", c.Passwords.Rules().Problems())
	v.throttle(c.Throttle)
	v.compat(c.Compat)
	v.clients(c.Clients, src.CheckClient)
	v.check("remove_clients", !c.RemoveClients || len(c.Clients) > 0, "would remove every client, because clients is empty")
	v.users(c.Users, c.Passwords, src.CheckUser)
	return errors.Join(v.problems...)
}

type validation struct{ problems []error }

func (v *validation) add(key, format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf(key+": "+format, args...))
}

func (v *validation) check(key string, ok bool, format string, args ...any) {
	if !ok {
		v.add(key, format, args...)
	}
}

func (v *validation) oneOf(key, value string, allowed ...string) {
	v.check(key, slices.Contains(allowed, value), "%q is not one of %s", value, strings.Join(allowed, ", "))
}

func (v *validation) positive(key string, d time.Duration) {
	v.check(key, d > 0, "must be positive")
}

func (v *validation) listener(key, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		v.add(key, "%q is not host:port", address)
		return
	}
	_, err = strconv.ParseUint(port, 10, 16)
	v.check(key, err == nil, "%q is not a port number", port)
}

func (v *validation) issuer(c *Config) {
	if c.Issuer == "" {
		host, _, err := net.SplitHostPort(c.Listen)
		if address, parseErr := netip.ParseAddr(host); err == nil && (host == "" || parseErr == nil && address.IsUnspecified()) {
			v.add("issuer", "must be set where listen (%s) names no host", c.Listen)
		}
		return
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		v.add("issuer", "%q is not a URL like https://auth.example.org", c.Issuer)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		v.add("issuer", "may have neither query, fragment nor user (RFC 8414, section 2)")
	case strings.HasSuffix(c.Issuer, "/"):
		v.add("issuer", "must not end in a slash: it is compared character by character")
	}
}

func (v *validation) http(h HTTP) {
	v.positive("http.read_header_timeout", h.ReadHeaderTimeout)
	v.positive("http.read_timeout", h.ReadTimeout)
	v.positive("http.write_timeout", h.WriteTimeout)
	v.positive("http.idle_timeout", h.IdleTimeout)
	v.check("http.drain_delay", h.DrainDelay >= 0, "is negative")
	v.positive("http.shutdown_timeout", h.ShutdownTimeout)
	v.check("http.max_connections", h.MaxConnections >= 0, "is negative")
	v.check("http.max_header_bytes", h.MaxHeaderBytes >= 4096, "%d is less than 4096", h.MaxHeaderBytes)
	v.check("http.max_body_bytes", h.MaxBodyBytes >= 1024, "%d is less than 1024", h.MaxBodyBytes)
	v.check("http.body_budget_bytes", h.BodyBudgetBytes >= h.MaxBodyBytes, "%d is less than http.max_body_bytes: a body of that size would never be read", h.BodyBudgetBytes)
}

func (v *validation) durability(d Durability, read time.Duration) {
	v.oneOf("durability.mode", d.Mode, "default", "replicated")
	if d.Mode == "replicated" {
		v.check("durability.replicas", d.Replicas > 0, "must be at least 1 in replicated mode: one less than Redis has, or all (docs/redis-failover.md)")
		v.positive("durability.timeout", d.Timeout)
		v.check("durability.timeout", d.Timeout < read, "must be less than redis.timeout: the answer comes after the wait")
	} else {
		v.check("durability.replicas", d.Replicas == 0, "is for replicated mode only")
	}
}

// include adds problems that package policy found, below a key.
func (v *validation) include(prefix string, found policy.Problems) {
	for _, p := range found {
		v.add(prefix+p.Key, "%s", p.Text)
	}
}
