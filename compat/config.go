package compat

import (
	"context"
	"errors"
	"fmt"
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
	// operation that it answers. Default: 1 MiB.
	MaxBody int64
	// Origins lists the origins of browser applications that may call, such as https://app.example.org. Their requests may
	// carry credentials. "*" allows every other origin too, without credentials. Empty: none, and no CORS headers are sent.
	Origins []string
	// ServerName is sent as Server header. Default: HarperDB, which old clients may look for. "-": no such header.
	ServerName string

	// Upstream is the old server, during a migration. Nil: there is none.
	Upstream *Upstream

	// OnOperation is called once for each operation that was answered, in the goroutine of the request. It is not called for
	// a request whose Authorization header was refused.
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
	// Authorization returns the Authorization header for a forwarded request, whose caller has been checked. The request then
	// has the rights of those credentials, not those of the caller. Nil: the caller's header is forwarded.
	Authorization func(context.Context, Caller) (string, error)
	// Importer stores users that are unknown here once the upstream has verified their password. Nil: no users are imported.
	Importer Importer
	// Shadow sends the token operations to the upstream too, after they have been answered, and reports differences. Each
	// login there revokes the user's earlier refresh token there.
	Shadow bool
	// OnShadow is called once for each shadowed operation, and must not block.
	OnShadow func(ShadowResult)
	// Transport makes the requests. Default: a transport with time limits.
	Transport http.RoundTripper
}

// OperationServed is one operation that was answered.
type OperationServed struct {
	Operation string // as requested; empty for an operation that does not exist
	Client    string // Config.ClientID for the token operations, otherwise empty
	User      string // empty if the caller is not known
	UserAgent string
	Status    int
	Forwarded bool // the upstream answered
}

// Handler answers the operations API. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	log      *slog.Logger
	upstream *upstreamClient // nil: there is none
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
	h := &Handler{cfg: c, log: c.Log}
	if c.Upstream != nil {
		if c.Authenticator == nil {
			problems = append(problems, errors.New("compat: Config.Upstream needs Config.Authenticator: callers are checked before their requests are forwarded"))
		}
		if c.Upstream.Importer != nil && c.Users == nil {
			problems = append(problems, errors.New("compat: Config.Upstream.Importer needs Config.Users, to tell which users are unknown here"))
		}
		target, err := url.Parse(c.Upstream.URL)
		if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
			problems = append(problems, fmt.Errorf("compat: Config.Upstream.URL %q is not a URL like http://127.0.0.1:9935", c.Upstream.URL))
		} else {
			h.upstream = newUpstreamClient(target, *c.Upstream, h.log, h.writeUpstreamError)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return h, nil
}
