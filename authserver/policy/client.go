package policy

import (
	"encoding/json"
	"time"
)

// Client is what a client may do and how its sessions behave. Validate says what is wrong with one.
type Client struct {
	// ID identifies the client: 1 to 200 printable ASCII characters.
	ID string
	// Public clients have neither secret nor keys and do not authenticate.
	Public bool
	// Secrets is how many secrets are good now: none for a public client, two while one replaces the other.
	Secrets int
	// KeySet holds the public keys of a client that authenticates by private_key_jwt, as a JSON Web Key Set (RFC 7517).
	KeySet json.RawMessage

	// Grants are the grant types that the client may use. None is implied.
	Grants []string
	// Scopes are those that the client may ask for. DefaultScopes are granted to a request that names none.
	Scopes, DefaultScopes []string
	// Audience lists the resource servers that the client may ask tokens for.
	Audience []string

	// Profile is the form of its tokens: ProfileStandard (also when empty) or ProfileLegacy.
	Profile string
	// Algorithm signs its access tokens: RS256 (also when empty), ES256 or EdDSA. The legacy profile is always RS256.
	Algorithm string
	// AccessTTL and RefreshTTL are how long its tokens are valid. Zero: the server's defaults.
	AccessTTL, RefreshTTL time.Duration
	// MaxSessionTTL ends a session this long after its login, whatever is refreshed. Zero: never.
	MaxSessionTTL time.Duration

	// Refresh says what becomes of a refresh token that was used: RefreshRotate (also when empty) or RefreshStatic.
	Refresh string
	// Grace is how long after a rotation the old refresh token gets the same answer again, 0 to MaxGrace.
	Grace time.Duration
	// SessionsPerUser bounds the sessions of one user at this client. Zero: any number.
	SessionsPerUser int

	// Introspect lets the client ask about tokens that are not its own (RFC 7662).
	Introspect bool
}

// Values of Client.Profile.
const (
	ProfileStandard = "standard" // RFC 9068 access tokens, opaque refresh tokens
	ProfileLegacy   = "legacy"   // the JWTs of the operations API
)

// Values of Client.Refresh.
const (
	RefreshRotate = "rotate" // each refresh token is good once
	RefreshStatic = "static" // a refresh token is good until it expires, and no other is issued
)

// Values of Client.Algorithm (RFC 7518 section 3.1, RFC 8037).
const (
	RS256 = "RS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

const (
	// DefaultGrace is the grace of a client that sets none.
	DefaultGrace = 10 * time.Second
	// MaxGrace is the longest grace. A token that comes back later is not a lost response any more.
	MaxGrace = time.Minute
	// MaxSecrets is how many secrets of a client are good at once.
	MaxSecrets = 2
)

// Algorithms returns the signing algorithms.
func Algorithms() []string { return []string{RS256, ES256, EdDSA} }

// Legacy tells whether tokens have the legacy profile.
func (c Client) Legacy() bool { return c.Profile == ProfileLegacy }

// Static tells whether a refresh token stays good until it expires.
func (c Client) Static() bool { return c.Refresh == RefreshStatic }

// SigningAlgorithm returns the algorithm of access tokens.
func (c Client) SigningAlgorithm() string {
	if c.Algorithm == "" || c.Legacy() {
		return RS256
	}
	return c.Algorithm
}
