package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
)

// Config says what a server is made of. Issuer, Storage and Keys are required; every other zero value is a sound default.
type Config struct {
	// Issuer is the server's URL as clients know it, without a trailing slash (RFC 8414 section 2). Plain http is for
	// loopback and for servers behind a proxy that ends TLS.
	Issuer string

	Storage Storage

	// Users answer the password grant. Nil: the grant is not offered.
	Users Users

	// Keys sign and verify tokens.
	Keys *keys.Set

	// Throttle limits failed logins. Nil: nothing does.
	Throttle Throttle

	// AccessTTL and RefreshTTL are the lives of tokens whose client does not say. Defaults: 1 h and 30 days; for the
	// legacy profile 1 day and 30 days.
	AccessTTL, RefreshTTL time.Duration

	// Audience is the audience of access tokens whose request names none (RFC 9068 section 3). Default: the issuer.
	Audience string

	// ClientAddress tells where a request comes from, for throttling and session lists. Default: the connection's address.
	// Behind a proxy, pass one that trusts that proxy's headers and no one else's.
	ClientAddress func(*http.Request) string

	// OnTokenIssued is called after every token that was issued, with the client, the subject and the user agent, so that use can
	// be counted. It must not block.
	OnTokenIssued func(TokenIssued)

	// Log gets what operators need to know. Default slog.Default. No secret and no token is ever logged.
	Log *slog.Logger

	// Now is the clock of tokens. Default time.Now.
	Now func() time.Time
}

// TokenIssued is one token response.
type TokenIssued struct {
	Client, Subject, UserAgent, Grant string
}

const (
	defaultAccessTTL       = time.Hour
	defaultLegacyAccessTTL = 24 * time.Hour
	defaultRefreshTTL      = 30 * 24 * time.Hour
)

func (c Config) withDefaults() Config {
	if c.Audience == "" {
		c.Audience = c.Issuer
	}
	if c.ClientAddress == nil {
		c.ClientAddress = remoteAddress
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var problems []error
	if u, err := url.Parse(c.Issuer); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		problems = append(problems, fmt.Errorf("issuer %q is no http(s) URL", c.Issuer))
	} else if u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(c.Issuer, "/") {
		problems = append(problems, fmt.Errorf("issuer %q must have no query, no fragment and no trailing slash", c.Issuer))
	}
	if c.Storage == nil {
		problems = append(problems, errors.New("no storage"))
	}
	if c.Keys == nil {
		problems = append(problems, errors.New("no keys"))
	}
	if c.AccessTTL < 0 || c.RefreshTTL < 0 {
		problems = append(problems, errors.New("lives cannot be negative"))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("authserver: %w", err)
	}
	return nil
}

func remoteAddress(r *http.Request) string {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return a.Addr().Unmap().String()
	}
	return r.RemoteAddr
}
