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
	// Token is the token endpoint of an OAuth 2.0 server, in this process or a reverse proxy to another one. It must know
	// the password and refresh_token grants, and token exchange (RFC 8693) for clients that ask for tokens with a token.
	Token http.Handler
	// TokenPath is the path under which Token is called. Default: /oauth2/token.
	TokenPath string
	// ClientID and ClientSecret are sent to Token. Default: the public client "operations".
	ClientID, ClientSecret string

	// Authenticator finds the caller of a request. Without one, the two token operations work, Authorization headers are
	// judged by Token alone, and nothing else is answered.
	Authenticator Authenticator
	// Users and Roles serve the operations on users and roles. Both are set, or neither.
	Users Users
	Roles Roles

	// MaxBody bounds request bodies in bytes. Larger ones are 413, or are streamed to the upstream when they are no operation
	// of ours. Default: 1 MiB.
	MaxBody int64
	// Origins lists the origins of browser applications that may call. Empty: any, as on the recorded server.
	Origins []string
	// ServerName is sent as Server header. Default: HarperDB, which old clients may look for; "-" sends none.
	ServerName string

	// Upstream is the old server, while the move lasts. Nil: there is none.
	Upstream *Upstream

	// Observe is called once for each operation that was answered, in the goroutine of the request. Use it to count who
	// still calls.
	Observe func(context.Context, Use)
	// Deprecation and Sunset announce the end of the operations API on every answer: since when it is deprecated (RFC 9745)
	// and when it goes (RFC 8594). Zero: not announced. Notice is the URL of a page that explains it.
	Deprecation, Sunset time.Time
	Notice              string

	// Log receives what callers are not told. Default: nothing is logged.
	Log *slog.Logger
}

// Upstream is an old server that still answers what is not ours.
type Upstream struct {
	// URL is its address, such as http://127.0.0.1:9935.
	URL string
	// Timeout bounds the wait for the first byte of its answer. Default: 10 s.
	Timeout time.Duration
	// Authorization returns the Authorization header for a forwarded request, whose caller has been checked. The upstream
	// then sees the rights of those credentials, not those of the caller. Nil: the header of the caller goes along.
	Authorization func(context.Context, Caller) (string, error)
	// Importer stores users that are unknown here once the upstream has verified their password. Nil: nobody is imported.
	Importer Importer
	// Shadow sends the token operations to the upstream too, after they have been answered, and reports differences.
	// Mind that a login there ends the user's earlier refresh token there.
	Shadow bool
	// OnShadow is told of each shadowed operation, to count them. It must not block.
	OnShadow func(Shadowed)
	// Transport makes the requests. Default: one of its own with bounded waits.
	Transport http.RoundTripper
}

// Use is one operation that was answered.
type Use struct {
	Operation string // as requested; operations that do not exist are ""
	Client    string // the client ID, empty unless tokens were asked for
	User      string // empty when nobody was identified
	UserAgent string
	Status    int
	Forwarded bool // the upstream answered
}

// Handler answers the operations API. It is safe for concurrent use.
type Handler struct {
	cfg     Config
	log     *slog.Logger
	forward http.Handler // nil without an upstream
	peer    *peer        // nil without an upstream
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler. It belongs at the root of the server, behind everything else that has a path, and wants its paths as
// they were sent: a router must neither clean nor redirect them.
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
			problems = append(problems, errors.New("compat: Config.Upstream needs Config.Authenticator: callers are checked before they are let through"))
		}
		if c.Upstream.Importer != nil && c.Users == nil {
			problems = append(problems, errors.New("compat: Config.Upstream.Importer needs Config.Users: they say who is unknown here"))
		}
		target, err := url.Parse(c.Upstream.URL)
		if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
			problems = append(problems, fmt.Errorf("compat: Config.Upstream.URL %q is not a URL like http://127.0.0.1:9935", c.Upstream.URL))
		} else {
			h.peer = newPeer(target, *c.Upstream, h.log)
			h.forward = h.proxy()
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return h, nil
}
