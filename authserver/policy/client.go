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

	// RedirectURIs and ResponseTypes are for servers with an authorization endpoint, which this module does not have. A client with
	// a redirect URI may have the grants of such servers too.
	RedirectURIs, ResponseTypes []string

	// Profile is the form of its tokens: ProfileStandard (also when empty) or ProfileLegacy.
	Profile string
	// Algorithm signs its access tokens: RS256 (also when empty), ES256 or EdDSA. The legacy profile is always RS256.
	Algorithm string
	// AccessTTL and RefreshTTL are how long its tokens are valid. Zero: the server's defaults.
	AccessTTL, RefreshTTL time.Duration
	// MaxSessionTTL ends a session this long after its login, whatever is refreshed. Zero: never.
	MaxSessionTTL time.Duration

	// Refresh names what becomes of a refresh token that was used: RefreshGrace (also when empty), RefreshRotate (its older
	// name), RefreshStrict, RefreshFAPI2 or RefreshStatic.
	Refresh string
	// Grace is how long after a rotation the old refresh token gets the same answer again, 0 to MaxGrace. While it is not known
	// whether the rotation happened, because a reply of Redis was lost, it gets it for 15 minutes. It must be zero where Refresh
	// knows no grace. What holds for a session is RotationGrace.
	Grace time.Duration
	// SessionsPerUser bounds the sessions of one user at this client. Zero: any number.
	SessionsPerUser int

	// Introspect lets the client ask about tokens that are not its own (RFC 7662).
	Introspect bool
	// ExchangeFrom are the IDs of the clients whose tokens it may exchange (RFC 8693). Empty: nobody's, but that a client of
	// the legacy profile may exchange its own.
	ExchangeFrom []string

	// Origins are those of the browser applications that use the client, such as https://app.example.org: pages of no other
	// origin may read the answers to its requests (CORS). Empty: none.
	Origins []string

	// Generation changes when all sessions of the client are ended: a session that was opened under another one has ended.
	// A registry that does not end sessions this way leaves it empty.
	Generation string
}

// Values of Client.Profile.
const (
	ProfileStandard = "standard" // RFC 9068 access tokens, opaque refresh tokens
	ProfileLegacy   = "legacy"   // the JWTs of the operations API
)

// Signing algorithms (RFC 7518 section 3.1, RFC 8037).
const (
	RS256 = "RS256"
	PS256 = "PS256" // for assertions alone
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

const (
	// MaxSecrets is how many secrets of a client are good at once.
	MaxSecrets = 2
)

// Algorithms returns the algorithms by which the server signs tokens.
func Algorithms() []string { return []string{RS256, ES256, EdDSA} }

// AssertionAlgorithms returns the algorithms by which clients may sign assertions (RFC 7523 section 3).
func AssertionAlgorithms() []string { return []string{RS256, PS256, ES256, EdDSA} }

// Legacy tells whether tokens have the legacy profile.
func (c Client) Legacy() bool { return c.Profile == ProfileLegacy }

// SigningAlgorithm returns the algorithm of access tokens.
func (c Client) SigningAlgorithm() string {
	if c.Algorithm == "" || c.Legacy() {
		return RS256
	}
	return c.Algorithm
}
