package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
)

// Warning is a setting that is risky in most places. With [Config].Strict it keeps the server from starting.
type Warning struct {
	// Name is what [Config].AcceptWarnings lists where the risk does not exist or is accepted.
	Name string
	Text string
}

// The names of warnings.
const (
	warnFileMode          = "file_mode"
	warnIssuerPlaintext   = "issuer_plaintext"
	warnKeysUnsealed      = "keys_unsealed"
	warnPasswordsWeak     = "passwords_weak"
	warnProxyAny          = "proxy_any"
	warnRedisPlaintext    = "redis_plaintext"
	warnUpstreamPlaintext = "upstream_plaintext"
)

var warningNames = []string{warnFileMode, warnIssuerPlaintext, warnKeysUnsealed, warnPasswordsWeak, warnProxyAny, warnRedisPlaintext, warnUpstreamPlaintext}

// Warnings returns what is valid and risky, without what AcceptWarnings names. It looks at the modes of SecretFiles as they are
// now.
func (c *Config) Warnings() []Warning {
	var found []Warning
	warn := func(name, format string, args ...any) {
		if !slices.Contains(c.AcceptWarnings, name) {
			found = append(found, Warning{Name: name, Text: fmt.Sprintf(format, args...)})
		}
	}
	for _, path := range c.SecretFiles {
		if info, err := os.Stat(path); err == nil && othersHaveAccess(info) {
			warn(warnFileMode, "%s holds a secret and is open to others (mode %#o): chmod 600 %s", path, info.Mode().Perm(), path)
		}
	}
	if c.Secret == "" {
		warn(warnKeysUnsealed, "the signing keys are not encrypted: whoever can read Redis can sign tokens. Set secret or OPGRANT_SECRET_FILE")
	}
	if c.Passwords.AllowWeak {
		warn(warnPasswordsWeak, "passwords.allow_weak accepts any password that is not empty")
	}
	if u, err := url.Parse(c.Issuer); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		warn(warnIssuerPlaintext, "issuer is http:// on another host than this one: clients send passwords and tokens unencrypted")
	}
	for _, text := range c.TrustedProxies {
		if network, err := netip.ParsePrefix(text); err == nil && coversStrangers(network) {
			warn(warnProxyAny, "trusted_proxies has %s: anybody can choose the address that limits of failed logins count", text)
		}
	}
	if host := c.Redis.plaintextHost(); host != "" {
		warn(warnRedisPlaintext, "redis is on %s without TLS: its password crosses the network unencrypted. Use rediss://", host)
	}
	if u, err := url.Parse(c.Compat.Upstream); err == nil && !c.Compat.Disabled && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		warn(warnUpstreamPlaintext, "compat.upstream is http:// on another host: passwords cross the network unencrypted. Use https://")
	}
	return found
}

// plaintextHost returns a host to which a password is sent without TLS, or nothing.
func (r Redis) plaintextHost() string {
	e, err := r.Endpoint()
	if err != nil || e.TLS || e.Password == "" && r.SentinelPassword == "" {
		return ""
	}
	for _, address := range e.Addrs {
		if host, _, err := net.SplitHostPort(address); err == nil && !isLoopback(host) { // a socket has no port
			return host
		}
	}
	return ""
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// coversStrangers tells whether a network is larger than the largest private one: 10.0.0.0/8, fc00::/7.
func coversStrangers(network netip.Prefix) bool {
	if network.Addr().Is4() {
		return network.Bits() < 8
	}
	return network.Bits() < 7
}
