package authserver

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// Config configures a Server. Issuer, Storage and Keys are required. Every other field may be left at its zero value.
type Config struct {
	// Issuer is the server's URL as clients know it, without a trailing slash (RFC 8414 section 2). Plain http is for
	// loopback and for servers behind a proxy that terminates TLS. The endpoints are below its path, if it has one.
	Issuer string

	// Storage keeps clients, sessions and tokens.
	Storage Storage

	// Users authenticates users. Nil: the password grant is not offered. Users may also implement ImportedTokens.
	Users Users

	// Keys sign and verify tokens.
	Keys *keys.Set

	// Grants are the grant types that the token endpoint offers and that the metadata lists. A request for any other is
	// answered unsupported_grant_type, whatever its client may use. Default: all, the password grant with Users only.
	Grants []string

	// Assertions says which JWTs of clients are accepted (RFC 7523).
	Assertions Assertions

	// SecretThrottle limits wrong client secrets. Nil: they are not limited. Failed logins are limited by Users.
	SecretThrottle SecretThrottle

	// Admission bounds how many requests of the OAuth endpoints, and calls of Inspect, run at a time. Those beyond it wait for a
	// moment or get 503. Nil: any number runs.
	Admission *admission.Gate

	// AccessTTL and RefreshTTL are how long tokens are valid if the client's policy does not say. Default: 1 hour (1 day for
	// the legacy profile) and 30 days.
	AccessTTL, RefreshTTL time.Duration

	// Audience is the audience of access tokens whose request names none (RFC 9068 section 3). Default: the issuer.
	Audience string

	// ClientAddress returns where a request comes from, for limits on failures and for lists of sessions. Default: the address of
	// the connection. Behind a proxy, set a function that reads the proxy's header if, and only if, the proxy sent it.
	ClientAddress func(*http.Request) string

	// MeterBody, if set, returns a reader of a request's body that counts what is held in memory, and is called once for each
	// request. release is called when the request has ended. A body whose reader fails with fosite.ErrTemporarilyUnavailable
	// is answered 503. Default: bodies in flight are bounded by their size (256 KiB) and the number of connections alone.
	MeterBody func(body io.Reader) (metered io.Reader, release func())

	// OnTokenIssued, if set, is called after each successful token response, by the goroutine of the request. It must not
	// block.
	OnTokenIssued func(TokenIssued)

	// Log gets refused requests, failures and refresh token reuse. It never gets a secret or a token. Default: slog.Default.
	Log *slog.Logger

	// Now is the clock for the times in tokens. Default: time.Now.
	Now func() time.Time
}

// Assertions says which JWTs of clients are accepted, for private_key_jwt and for the JWT bearer grant (RFC 7523 section 3).
type Assertions struct {
	// MaxTTL is how far ahead an assertion may expire, and how old it may be, up to policy.MaxAssertionTTL. Clocks may be a
	// minute apart besides. Each accepted assertion is remembered for so long. Default: policy.DefaultAssertionTTL.
	MaxTTL time.Duration
	// Audience is policy.AudienceEither (also when empty) or policy.AudienceIssuer.
	Audience string
}

// TokenIssued describes a successful token response.
type TokenIssued struct {
	Client, Subject, UserAgent string
	Address                    string // Config.ClientAddress of the request
	Grant                      string // the grant_type
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
	if c.Assertions.MaxTTL == 0 {
		c.Assertions.MaxTTL = policy.DefaultAssertionTTL
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
	if err := issuerProblem(c.Issuer); err != nil {
		problems = append(problems, err)
	}
	if c.Storage == nil {
		problems = append(problems, errors.New("no storage"))
	}
	if c.Keys == nil {
		problems = append(problems, errors.New("no keys"))
	}
	if c.AccessTTL < 0 || c.RefreshTTL < 0 {
		problems = append(problems, errors.New("AccessTTL and RefreshTTL cannot be negative"))
	}
	for _, p := range policy.OfferedProblems(c.Grants, false) {
		problems = append(problems, p)
	}
	for _, p := range policy.AssertionProblems(c.Assertions.MaxTTL, c.Assertions.Audience) {
		problems = append(problems, fmt.Errorf("assertions: %w", p))
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
