package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Config configures a Handler. Only Token is required.
type Config struct {
	// Token is the token endpoint of an OAuth 2.0 server, in this process or a reverse proxy to another one. It has to support
	// the password and refresh_token grants, and token exchange (RFC 8693) for clients that ask for tokens with a token.
	Token http.Handler
	// TokenPath is the path under which Token is called. Default: /oauth2/token.
	TokenPath string
	// ClientID and ClientSecret are sent to Token. Default: the public client "operations".
	ClientID, ClientSecret string

	// Authenticator finds the caller of a request. Without one, only the two token operations work, and only Token checks
	// credentials.
	Authenticator Authenticator
	// Users and Roles serve the operations on users and roles. Both are set, or neither.
	Users Users
	Roles Roles

	// MaxBody bounds request bodies in bytes. Larger ones are 413, or are streamed to the upstream if they are for an
	// operation that it answers. Default: 1 MiB. A request whose header does not prove its caller may have 256 KiB at most.
	MaxBody int64
	// MeterBody, if set, returns a reader of a body that counts what is held in memory, and is called once for each request.
	// release is called when the request has ended. A body whose reader fails with a [RetryError] is answered 503. Default:
	// bodies in flight are bounded by MaxBody and the number of connections alone.
	MeterBody func(body io.Reader) (metered io.Reader, release func())
	// Origins lists the origins of browser applications that may call, such as https://app.example.org. Their requests may
	// carry credentials. "*" allows every other origin too, without credentials. Empty: none, and no CORS headers are sent.
	Origins []string
	// ServerName is sent as Server header. Default: HarperDB, which old clients may look for. "-": no such header.
	ServerName string

	// Upstream is the old server, during a migration. Nil: there is none.
	Upstream *Upstream

	// OnOperation is called once for each operation that was answered, and for each forwarded GET of the upstream's description,
	// in the goroutine of the request. It is not called for a request whose Authorization header was refused.
	OnOperation func(context.Context, OperationServed)
	// Deprecation and Sunset announce the end of the operations API on every answer: since when it is deprecated (RFC 9745)
	// and when it is switched off (RFC 8594). Zero: not announced. Notice is the URL of a page that explains it.
	Deprecation, Sunset time.Time
	Notice              string

	// Log receives the causes of errors that callers are not told. Default: nothing is logged.
	Log *slog.Logger
}

// Upstream is an old server that still answers the operations that this package does not have.
type Upstream struct {
	// URL is its address, such as http://127.0.0.1:9935.
	URL string
	// Timeout bounds the wait for the first byte of its answer. Default: 10 s.
	Timeout time.Duration
	// IdleTimeout bounds each pause of a client or of the upstream in the middle of a forwarded body or answer. A client also
	// has to send at least 1 KiB/s on average. Default: 30 s.
	IdleTimeout time.Duration
	// MaxTime bounds a forwarded request as a whole. Default: 10 min.
	MaxTime time.Duration
	// MaxBody bounds a forwarded body in bytes. Those above Config.MaxBody are not held in memory. Default: 64 MiB.
	MaxBody int64
	// MaxRequests bounds the forwarded requests at a time. Further ones are 503. Default: 64.
	MaxRequests int

	// Authorization returns the Authorization header for a forwarded request, whose caller has been checked. The request then
	// has the rights of those credentials, not those of the caller. So only super users may use every operation, bodies other
	// than JSON are 415, and Operations lists what all others with a role may do. Nil: each request goes along with the
	// credentials that have proved its caller.
	Authorization func(context.Context, Caller) (string, error)
	// Operations are the names of operations that callers who are not super users may have forwarded under Authorization.
	Operations []string
	// Cookies forwards login, after its password has been checked here, and passes the session cookies of the upstream on: to
	// callers, and from those that have proved who they are by other credentials too. With an Origin header, it has to be one
	// of Config.Origins. False: the upstream neither sets nor gets cookies, and there is no login.
	Cookies bool

	// Shadow sends the operations that are answered here and only read (user_info, list_users, list_roles) to the upstream
	// too, with the header of the request, and reports differences.
	Shadow bool
	// OnShadow is called once for each shadowed operation, and must not block.
	OnShadow func(ShadowResult)
	// Transport makes the requests. Default: a transport with time limits.
	Transport http.RoundTripper
}

// target is the URL, or an error that says that it is not one.
func (u Upstream) target() (*url.URL, error) {
	target, err := url.Parse(u.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return nil, fmt.Errorf("compat: Upstream.URL %q is not a URL like http://127.0.0.1:9935", u.URL)
	}
	return target, nil
}

// OperationServed is one operation that was answered.
type OperationServed struct {
	Operation string // as requested; empty for an operation that does not exist and for a description
	Client    string // Config.ClientID for the token operations, otherwise empty
	User      string // empty if the caller is not known
	Verified  bool   // a password or token has proved that the caller is User; false: the caller says so
	UserAgent string
	Address   string // where the request came from: http.Request.RemoteAddr without the port
	Status    int
	Forwarded bool // the upstream answered
}

// Handler answers the operations API. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	log      *slog.Logger
	upstream *upstreamClient // nil: there is none
	browsers *browserRules   // nil: no CORS headers are sent
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler, or an error that names every problem of the configuration. The Handler has to get the requests for all
// paths that have no other handler, with the paths as they were sent: a router must neither clean nor redirect them.
func New(c Config) (*Handler, error) {
	var problems []error
	if c.Token == nil {
		problems = append(problems, errors.New("compat: Config.Token is missing"))
	}
	if (c.Users == nil) != (c.Roles == nil) {
		problems = append(problems, errors.New("compat: Config.Users and Config.Roles are set together"))
	}
	if c.Users != nil && c.Authenticator == nil {
		problems = append(problems, errors.New("compat: Config.Users needs Config.Authenticator"))
	}
	problems = append(problems, originProblems(c.Origins)...)
	if c.TokenPath == "" {
		c.TokenPath = "/oauth2/token"
	}
	if c.ClientID == "" {
		c.ClientID = "operations"
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 1 << 20
	}
	if c.ServerName == "" {
		c.ServerName = "HarperDB"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{cfg: c, log: c.Log, browsers: newBrowserRules(c.Origins)}
	if c.Upstream != nil {
		if c.Authenticator == nil {
			problems = append(problems, errors.New("compat: Config.Upstream needs Config.Authenticator: callers are checked before their requests are forwarded"))
		}
		if target, err := c.Upstream.target(); err != nil {
			problems = append(problems, err)
		} else {
			h.upstream = newUpstreamClient(target, *c.Upstream, h.log)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return h, nil
}
