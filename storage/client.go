package storage

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// Client is an OAuth 2.0 client: who it is, what it may do, and how its sessions behave. Every field but ID may be zero;
// Validate reports what is wrong.
//
// It implements fosite.Client, and has a Policy, which is what the store and a server read. A client that was returned by the
// store is shared: do not change it.
type Client struct {
	ID   string `json:"id" yaml:"id"`
	Name string `json:"name,omitempty" yaml:"name,omitempty"`

	// Public clients have no secret and do not authenticate.
	Public bool `json:"public,omitempty" yaml:"public,omitempty"`
	// Secrets are the hashes of the valid secrets, newest first. There may be two while a secret is being replaced.
	Secrets []string `json:"secrets,omitempty" yaml:"secrets,omitempty"`
	// JWKS are the public keys of a client that authenticates by private_key_jwt (RFC 7523), and that may sign assertions.
	JWKS json.RawMessage `json:"jwks,omitempty" yaml:"-"`

	// Grants are the grant types that the client may use. It may use no others. One with RedirectURIs may also have
	// authorization_code and implicit, which package authserver does not offer.
	Grants []string `json:"grants" yaml:"grants"`
	// Scopes are the scopes that the client may request. In package authserver a request without a scope gets Default, or Scopes
	// when that is nil.
	Scopes  []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	Default []string `json:"default_scopes,omitempty" yaml:"default_scopes,omitempty"`
	// Audience is the resource servers that the client may request tokens for.
	Audience []string `json:"audience,omitempty" yaml:"audience,omitempty"`

	// RedirectURIs are where an authorization endpoint may send the browser back to (RFC 6749 section 3.1.2), and ResponseTypes are
	// what the client may ask it for: code, token, id_token or several of them with spaces between. Nil is code, if the client has
	// the grant authorization_code. They are for third-party fosite servers: package authserver has no such endpoint.
	RedirectURIs  []string `json:"redirect_uris,omitempty" yaml:"redirect_uris,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty" yaml:"response_types,omitempty"`

	// Profile is the form of its tokens: "standard" (RFC 9068 access token, opaque refresh token; the default) or "legacy".
	Profile string `json:"profile,omitempty" yaml:"profile,omitempty"`
	// Algorithm signs its access tokens: RS256 (the default), ES256 or EdDSA. The legacy profile is always RS256.
	Algorithm string `json:"algorithm,omitempty" yaml:"algorithm,omitempty"`

	// AccessTTL and RefreshTTL are the validity of its tokens. Zero: the server's defaults. With rotation each refresh starts
	// RefreshTTL again, so that it limits how long a session may be idle.
	AccessTTL  Duration `json:"access_ttl,omitzero" yaml:"access_ttl,omitempty"`
	RefreshTTL Duration `json:"refresh_ttl,omitzero" yaml:"refresh_ttl,omitempty"`
	// MaxSessionTTL ends a session this long after its login, however often it is refreshed. Zero: never.
	MaxSessionTTL Duration `json:"max_session_ttl,omitzero" yaml:"max_session_ttl,omitempty"`

	// Refresh is the policy of its refresh tokens: "grace" (each can be used once, and again within Grace; the default),
	// "strict" (each can be used once), "fapi2" or "static" (one stays valid until it expires, and no other is issued). See
	// policy.RefreshStrict and the constants beside it. For a server of fosite's own handlers set "strict": they do
	// not implement the others.
	Refresh string `json:"refresh,omitempty" yaml:"refresh,omitempty"`
	// Grace is how long after a rotation the used refresh token gets the same answer again, 0 to 60 s. Nil: 10 s, if the
	// refresh policy has a grace.
	Grace *Duration `json:"grace,omitempty" yaml:"grace,omitempty"`
	// SessionsPerUser bounds the sessions of one user at this client. A login past it ends the refresh token of the session
	// that expires first. Zero: no limit. Sessions from before there was a limit count after their next refresh.
	SessionsPerUser int `json:"sessions_per_user,omitempty" yaml:"sessions_per_user,omitempty"`

	// Introspect lets the client ask about tokens that are not its own (RFC 7662).
	Introspect bool `json:"introspect,omitempty" yaml:"introspect,omitempty"`
	// ExchangeFrom are the IDs of the clients whose tokens this client may exchange (RFC 8693). Empty: nobody's, but that a
	// client of the legacy profile may exchange its own.
	ExchangeFrom []string `json:"exchange_from,omitempty" yaml:"exchange_from,omitempty"`

	// Origins are those of the browser applications that use the client, such as https://app.example.org: pages of no other
	// origin may read the answers to its requests (CORS). Empty: none.
	Origins []string `json:"origins,omitempty" yaml:"origins,omitempty"`

	// Generation is set by the store, whatever it is here. See policy.Client.
	Generation string `json:"-" yaml:"-"`
}

// Duration is a time.Duration that is written as text, such as "720h" or "10s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

var (
	_ fosite.ClientWithSecretRotation = (*Client)(nil)
	_ fosite.ResponseModeClient       = (*Client)(nil)
	_ policyClient                    = (*Client)(nil)
)

// GetID implements fosite.Client.
func (c *Client) GetID() string { return c.ID }

// GetHashedSecret implements fosite.Client: the newest secret.
func (c *Client) GetHashedSecret() []byte {
	if len(c.Secrets) == 0 {
		return nil
	}
	return []byte(c.Secrets[0])
}

// GetRotatedHashes implements fosite.ClientWithSecretRotation: the secrets before the newest.
func (c *Client) GetRotatedHashes() [][]byte {
	var older [][]byte
	for i := 1; i < len(c.Secrets); i++ {
		older = append(older, []byte(c.Secrets[i]))
	}
	return older
}

// GetRedirectURIs implements fosite.Client.
func (c *Client) GetRedirectURIs() []string { return c.RedirectURIs }

// GetGrantTypes implements fosite.Client.
func (c *Client) GetGrantTypes() fosite.Arguments { return c.Grants }

// GetResponseTypes implements fosite.Client. Without any it returns code, if the client has the grant for it (RFC 7591 section 2).
func (c *Client) GetResponseTypes() fosite.Arguments {
	if len(c.ResponseTypes) == 0 && slices.Contains(c.Grants, policy.GrantAuthorizationCode) {
		return fosite.Arguments{"code"}
	}
	return c.ResponseTypes
}

// GetResponseModes implements fosite.ResponseModeClient: all that fosite knows. It refuses those that would put tokens into a query.
func (c *Client) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeDefault, fosite.ResponseModeQuery, fosite.ResponseModeFragment, fosite.ResponseModeFormPost}
}

// GetScopes implements fosite.Client.
func (c *Client) GetScopes() fosite.Arguments { return c.Scopes }

// IsPublic implements fosite.Client.
func (c *Client) IsPublic() bool { return c.Public }

// GetAudience implements fosite.Client.
func (c *Client) GetAudience() fosite.Arguments { return c.Audience }

// Policy returns what the client may do, with its defaults filled in.
func (c *Client) Policy() policy.Client {
	p := policy.Client{
		ID: c.ID, Public: c.Public, Secrets: len(c.Secrets), KeySet: c.JWKS,
		Grants: c.Grants, Scopes: c.Scopes, DefaultScopes: c.Default, Audience: c.Audience,
		RedirectURIs: c.RedirectURIs, ResponseTypes: c.ResponseTypes,
		Profile: c.Profile, Algorithm: c.Algorithm,
		AccessTTL: time.Duration(c.AccessTTL), RefreshTTL: time.Duration(c.RefreshTTL), MaxSessionTTL: time.Duration(c.MaxSessionTTL),
		Refresh: c.Refresh, Grace: policy.DefaultGraceOf(c.Refresh), SessionsPerUser: c.SessionsPerUser, Introspect: c.Introspect,
		ExchangeFrom: c.ExchangeFrom, Origins: c.Origins, Generation: c.Generation,
	}
	if c.Default == nil {
		p.DefaultScopes = c.Scopes
	}
	if c.Grace != nil {
		p.Grace = time.Duration(*c.Grace)
	}
	return p
}

// Validate reports everything that is wrong with the client.
func (c *Client) Validate() error {
	if err := c.Policy().Validate(); err != nil {
		return fmt.Errorf("storage: client %q: %w", c.ID, err)
	}
	return nil
}
