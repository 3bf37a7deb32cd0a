package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
)

// Client is an OAuth 2.0 client as data: who it is, what it may do, and how its sessions behave. The zero value of every
// field but ID is meaningful; Validate says what is not.
//
// It implements fosite.Client, and the methods by which storage and a server read its policy. Treat one that came out of
// a store as read-only: it may be shared.
type Client struct {
	ID   string `json:"id" yaml:"id"`
	Name string `json:"name,omitempty" yaml:"name,omitempty"`

	// Public clients have no secret and do not authenticate.
	Public bool `json:"public,omitempty" yaml:"public,omitempty"`
	// Secrets are the hashes of the secrets that are good now, newest first. Two at once let a secret be exchanged without
	// an outage.
	Secrets []string `json:"secrets,omitempty" yaml:"secrets,omitempty"`
	// JWKS are the public keys of a client that authenticates by private_key_jwt (RFC 7523), and that may sign assertions.
	JWKS json.RawMessage `json:"jwks,omitempty" yaml:"-"`

	// Grants are the grant types that the client may use. None is implied: each is opted in.
	Grants []string `json:"grants" yaml:"grants"`
	// Scopes are those that the client may ask for. A request without a scope gets Default, or all of them when that is nil.
	Scopes  []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	Default []string `json:"default_scopes,omitempty" yaml:"default_scopes,omitempty"`
	// Audience are the resource servers that the client may ask tokens for.
	Audience []string `json:"audience,omitempty" yaml:"audience,omitempty"`

	// Profile is the form of its tokens: "standard" (RFC 9068 access token, opaque refresh token; the default) or "legacy".
	Profile string `json:"profile,omitempty" yaml:"profile,omitempty"`
	// Algorithm signs its access tokens: RS256 (the default), ES256 or EdDSA. The legacy profile is always RS256.
	Algorithm string `json:"algorithm,omitempty" yaml:"algorithm,omitempty"`

	// AccessTTL and RefreshTTL are how long its tokens live. Zero: the server's defaults. With rotation each refresh starts
	// RefreshTTL anew, so that it is an idle limit.
	AccessTTL  Duration `json:"access_ttl,omitzero" yaml:"access_ttl,omitempty"`
	RefreshTTL Duration `json:"refresh_ttl,omitzero" yaml:"refresh_ttl,omitempty"`
	// MaxLife ends a session this long after its login, whatever is refreshed. Zero: never.
	MaxLife Duration `json:"max_session_life,omitzero" yaml:"max_session_life,omitempty"`

	// Refresh is the policy of its refresh tokens: "rotate" (each is good once; the default) or "static" (one stays good
	// until it expires, and no other is issued).
	Refresh string `json:"refresh,omitempty" yaml:"refresh,omitempty"`
	// Grace is how long after a rotation the old refresh token gets the same answer again, 0 to 60 s. Nil: 10 s.
	Grace *Duration `json:"grace,omitempty" yaml:"grace,omitempty"`
	// SessionsPerUser bounds the sessions of one user at this client; a login past it ends the refresh token of another.
	// Zero: any number.
	SessionsPerUser int `json:"sessions_per_user,omitempty" yaml:"sessions_per_user,omitempty"`

	// Introspect lets the client ask about tokens that are not its own (RFC 7662).
	Introspect bool `json:"introspect,omitempty" yaml:"introspect,omitempty"`
}

// The values of Client.Profile and Client.Refresh.
const (
	ProfileStandard = "standard"
	ProfileLegacy   = "legacy"
	RefreshRotate   = "rotate"
	RefreshStatic   = "static"
)

const defaultGrace = 10 * time.Second

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

var _ fosite.ClientWithSecretRotation = (*Client)(nil)

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

// GetRedirectURIs implements fosite.Client. There is no grant here that redirects.
func (c *Client) GetRedirectURIs() []string { return nil }

// GetGrantTypes implements fosite.Client.
func (c *Client) GetGrantTypes() fosite.Arguments { return c.Grants }

// GetResponseTypes implements fosite.Client.
func (c *Client) GetResponseTypes() fosite.Arguments { return nil }

// GetScopes implements fosite.Client.
func (c *Client) GetScopes() fosite.Arguments { return c.Scopes }

// IsPublic implements fosite.Client.
func (c *Client) IsPublic() bool { return c.Public }

// GetAudience implements fosite.Client.
func (c *Client) GetAudience() fosite.Arguments { return c.Audience }

// DefaultScopes are granted to a request that names none.
func (c *Client) DefaultScopes() []string {
	if c.Default != nil {
		return c.Default
	}
	return c.Scopes
}

// Legacy tells whether its tokens have the legacy form.
func (c *Client) Legacy() bool { return c.Profile == ProfileLegacy }

// SigningAlgorithm is the JWS algorithm of its access tokens.
func (c *Client) SigningAlgorithm() string {
	if c.Algorithm == "" || c.Legacy() {
		return "RS256"
	}
	return c.Algorithm
}

// StaticRefresh tells whether a refresh token stays good until it expires.
func (c *Client) StaticRefresh() bool { return c.Refresh == RefreshStatic }

// RefreshGrace is how long a rotated refresh token gets the same answer again.
func (c *Client) RefreshGrace() time.Duration {
	if c.Grace == nil {
		return defaultGrace
	}
	return time.Duration(*c.Grace)
}

// SessionLimit bounds the sessions of one subject; zero is no bound.
func (c *Client) SessionLimit() int { return c.SessionsPerUser }

// MaxSessionLife is the absolute life of a session; zero is no bound.
func (c *Client) MaxSessionLife() time.Duration { return time.Duration(c.MaxLife) }

// TokenLife returns how long its access and refresh tokens live; zero leaves it to the server.
func (c *Client) TokenLife() (access, refresh time.Duration) {
	return time.Duration(c.AccessTTL), time.Duration(c.RefreshTTL)
}

// MayIntrospect tells whether the client may ask about tokens that are not its own.
func (c *Client) MayIntrospect() bool { return c.Introspect }

// KeySet returns its public keys as a JSON Web Key Set, or nil.
func (c *Client) KeySet() json.RawMessage { return c.JWKS }

// Validate reports all that is wrong with the client.
func (c *Client) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.ID == "" || len(c.ID) > 200 || strings.ContainsFunc(c.ID, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		wrong("id: 1 to 200 printable ASCII characters")
	}
	if !slices.Contains([]string{"", ProfileStandard, ProfileLegacy}, c.Profile) {
		wrong("profile: %q is neither standard nor legacy", c.Profile)
	}
	if !slices.Contains([]string{"", "RS256", "ES256", "EdDSA"}, c.Algorithm) {
		wrong("algorithm: %q is none of RS256, ES256, EdDSA", c.Algorithm)
	}
	if c.Legacy() && c.Algorithm != "" && c.Algorithm != "RS256" {
		wrong("algorithm: the legacy profile is RS256")
	}
	if !slices.Contains([]string{"", RefreshRotate, RefreshStatic}, c.Refresh) {
		wrong("refresh: %q is neither rotate nor static", c.Refresh)
	}
	if c.Grace != nil && (*c.Grace < 0 || time.Duration(*c.Grace) > MaxGrace) {
		wrong("grace: 0s to 60s")
	}
	if c.AccessTTL < 0 || c.RefreshTTL < 0 || c.MaxLife < 0 || c.SessionsPerUser < 0 {
		wrong("lifetimes and limits cannot be negative")
	}
	if !c.Public && len(c.Secrets) == 0 && len(c.JWKS) == 0 {
		wrong("a confidential client needs a secret or keys")
	}
	if c.Public && len(c.Secrets) > 0 {
		wrong("a public client has no secret")
	}
	if len(c.Secrets) > 2 {
		wrong("secrets: at most two at once")
	}
	for _, scope := range append(slices.Clone(c.Scopes), c.Default...) {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			wrong("scopes: %q is not a scope token of RFC 6749 section 3.3", scope)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("storage: client %q: %w", c.ID, err)
	}
	return nil
}
