package resource

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config configures a Guard. Issuer is required. Every other field may be left at its zero value.
type Config struct {
	// Issuer is the authorization server's URL, as it is in its tokens and metadata: http or https, without a trailing slash.
	Issuer string
	// Audience is the name of this resource server, which tokens must have as an audience. Default: the issuer, which is the
	// audience of tokens whose request named none.
	Audience string

	// Legacy accepts tokens of the legacy profile. They get LegacyScopes, unless they name fewer scopes themselves.
	Legacy       bool
	LegacyScopes []string

	// Introspection, if set, asks the authorization server about every token. Nil: tokens are verified locally.
	Introspection *Introspection

	// KeysURL is the URL of the key set (RFC 7517). Default: /.well-known/jwks.json below the issuer.
	KeysURL string
	// KeysFresh is how long a key set is used, and so how long tokens of a key that was revoked may still be accepted. From half
	// that age on it is fetched again in the background. Default: 5 minutes.
	KeysFresh time.Duration
	// KeysStale is the age until which the key set is used while it cannot be fetched. Default: 1 hour. By then the authorization
	// server may have revoked a key. As long as KeysFresh or shorter: such a key set is never used, and tokens cannot be checked.
	KeysStale time.Duration
	// KeysEvery is the shortest time between two fetches. Default: 1 second.
	KeysEvery time.Duration

	// Realm names the protected space in WWW-Authenticate. Default: the audience.
	Realm string
	// HTTP sends the requests to the authorization server. Default: a client with a timeout of 2 seconds that follows no
	// redirect.
	HTTP *http.Client
	// Log gets the errors because of which a token could not be checked. Default: slog.Default.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Introspection configures introspection (RFC 7662).
type Introspection struct {
	// URL of the endpoint. Default: /oauth2/introspect below the issuer.
	URL string
	// ClientID and ClientSecret are the credentials of a client that may introspect. Both are required.
	ClientID, ClientSecret string
	// Cache is how long a response is used again, and so how long a revoked token may still be accepted. Default: 10 seconds.
	// Negative: responses are not used again.
	Cache time.Duration
}

func (c Config) withDefaults() Config {
	setText := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	setTime := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	setText(&c.Audience, c.Issuer)
	setText(&c.Realm, c.Audience)
	setText(&c.KeysURL, c.Issuer+"/.well-known/jwks.json")
	setTime(&c.KeysFresh, 5*time.Minute)
	setTime(&c.KeysStale, time.Hour)
	setTime(&c.KeysEvery, time.Second)
	if c.Introspection != nil {
		i := *c.Introspection
		setText(&i.URL, c.Issuer+"/oauth2/introspect")
		setTime(&i.Cache, 10*time.Second)
		c.Introspection = &i
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{
			Timeout:       2 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
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
	if u, err := url.Parse(c.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.HasSuffix(c.Issuer, "/") {
		problems = append(problems, fmt.Errorf("issuer %q is not an http(s) URL without a trailing slash", c.Issuer))
	}
	if c.KeysFresh < 0 || c.KeysStale < 0 || c.KeysEvery < 0 {
		problems = append(problems, errors.New("the times of the key set cannot be negative"))
	}
	if strings.ContainsAny(c.Realm, "\"\\\r\n") {
		problems = append(problems, fmt.Errorf("realm %q cannot be quoted", c.Realm))
	}
	if i := c.Introspection; i != nil && (i.ClientID == "" || i.ClientSecret == "") {
		problems = append(problems, errors.New("introspection needs a client and its secret"))
	}
	if len(c.LegacyScopes) > 0 && !c.Legacy {
		problems = append(problems, errors.New("scopes for legacy tokens, which are not allowed"))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	return nil
}
