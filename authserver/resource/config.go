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

// Config says whose tokens are good here. Issuer is required; every other zero value is a sound default.
type Config struct {
	// Issuer is the authorization server's URL, as it stands in its tokens and metadata.
	Issuer string
	// Audience is the name of this resource server; a token must be for it. Default: the issuer, which is what tokens are
	// for whose request named no audience.
	Audience string

	// Legacy lets tokens of the legacy profile pass, with LegacyScopes.
	Legacy       bool
	LegacyScopes []string

	// Introspection asks the authorization server about every token. Nil: tokens are verified here.
	Introspection *Introspection

	// KeysURL is where the key set is. Default: /.well-known/jwks.json below the issuer.
	KeysURL string
	// KeysFresh is the age from which the key set is renewed. Default 5 minutes.
	KeysFresh time.Duration
	// KeysStale is how long the keys at hand stay in use while they cannot be renewed. Default one hour: past it the
	// authorization server may have withdrawn one.
	KeysStale time.Duration
	// KeysEvery is the distance between two fetches. Default one second.
	KeysEvery time.Duration

	// Realm names the protected space in WWW-Authenticate. Default: the audience.
	Realm string
	// HTTP makes the requests to the authorization server. Default: one that waits two seconds and follows no redirect.
	HTTP *http.Client
	// Log gets what keeps this server from knowing. Default slog.Default.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Introspection is how this resource server asks about tokens (RFC 7662).
type Introspection struct {
	// URL of the endpoint. Default: /oauth2/introspect below the issuer.
	URL string
	// ClientID and ClientSecret are those of a client that may introspect.
	ClientID, ClientSecret string
	// Cache is how long an answer is used again, and with it how long a revoked token may still pass. Default 10 seconds;
	// negative: every request asks.
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
		problems = append(problems, fmt.Errorf("issuer %q is no http(s) URL without a trailing slash", c.Issuer))
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
