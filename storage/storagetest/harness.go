package storagetest

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// Harness tells Run how to make stores and what to expect of them. Only New is required.
type Harness struct {
	// New returns an empty store. It is called for each test of the suite, some of which run in parallel.
	New func(t *testing.T) Fixture

	// NewSession returns an empty session of the type that the store is for. Default: a Session of this package.
	NewSession func() fosite.Session

	// RequestID returns a new request ID for a login of the subject. Default: a random UUID, as fosite makes it.
	RequestID func(subject string) string

	// Signature returns the signature of a new token or code of that request. Default: a random one in the format of fosite's HMAC
	// tokens.
	Signature func(requestID string) string

	// Grace is how long the store accepts a refresh token after its rotation. Default 0: not at all. The store may end it late,
	// by the same time again but at most a second.
	Grace time.Duration

	// CodeMemory is how long the store keeps the record of a code, and of what belongs to it, when the code is not valid any more.
	// Default 0: a code is forgotten when it expires.
	CodeMemory time.Duration

	// Unavailable is the error that every call during an outage must return, as errors.Is finds it. Default nil: any error that does
	// not say that the token is invalid.
	Unavailable error

	// KnownDeviations lists tests that the store is known to fail, with the reason. They run, and a listed test that passes is a
	// failure, so that the list stays correct. A key is a name from Names, such as "refresh/an unknown signature is not found".
	KnownDeviations map[string]string

	// Skip lists tests that must not run, with the reason, for example because they would end the process. The name of a group
	// skips the whole group. Prefer KnownDeviations.
	Skip map[string]string
}

// Fixture is a store and what the suite may do to it. A test that needs a function which is nil is skipped.
type Fixture struct {
	// Storage is the store. Groups for fosite's other interfaces run if it implements those too: Transactional, ClientManager,
	// ResourceOwnerPasswordCredentialsGrantStorage, AuthorizeCodeStorage, PKCERequestStorage, OpenIDConnectRequestStorage,
	// PARStorage, RFC7523KeyStorage and verifiable.NonceManager.
	Storage oauth2.TokenRevocationStorage

	// AddClient adds a client, for stores that look up the client of a stored request by its ID.
	AddClient func(client fosite.Client) error

	// AddUser adds a user for Authenticate.
	AddUser func(name, password string) error

	// AddIssuerKey adds a public key for assertions of the issuer about the subject, for RFC7523KeyStorage.
	AddIssuerKey func(issuer, subject string, key *jose.JSONWebKey, scopes []string) error

	// Advance lets time pass for the store: it moves a fake clock, or sleeps.
	Advance func(d time.Duration)

	// Break makes the store's database unavailable until heal is called.
	Break func() (heal func())

	// Leftovers lists the records of sessions, codes, requests and nonces in the database, indexes included, with their values if
	// it can: some tests look for credentials in them. It must be empty when all of them have expired.
	Leftovers func() ([]string, error)
}
