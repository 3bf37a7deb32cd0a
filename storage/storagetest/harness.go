package storagetest

import (
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// Harness tells Run how to make stores and what to expect of them. Only New is needed.
type Harness struct {
	// New returns an empty store. It is called for each test of the suite, some of which run in parallel.
	New func(t *testing.T) Fixture

	// NewSession returns an empty session of the type that the store is meant for. Default: a Session of this
	// package, a type that no store can know.
	NewSession func() fosite.Session

	// RequestID makes the ID under which fosite knows a login of the subject. Default: a random UUID, as fosite
	// makes it.
	RequestID func(subject string) string

	// Signature makes the signature of a new token of that request. Default: random, of fosite's HMAC shape.
	Signature func(requestID string) string

	// Grace is how long the store goes on accepting a refresh token that was rotated away. Default 0: it does not. It may
	// end late by as much again, up to a second.
	Grace time.Duration

	// AnswerWithin is the longest time an answer may take during an outage. Default 0: not checked.
	AnswerWithin time.Duration

	// Unavailable is an error that every answer of an outage must match with errors.Is. Default nil: any error
	// that is no verdict will do.
	Unavailable error

	// KnownDeviations lists tests that the store is known to fail, with the reason. They run, and one that passes
	// is a failure, so that the list stays true. Keys look like "refresh/unknown signature is not found".
	KnownDeviations map[string]string

	// Skip lists tests that must not run, with the reason: those that would end the process. A group's name skips
	// all of it. Prefer KnownDeviations.
	Skip map[string]string
}

// Fixture is a store with what the suite may do to it. Tests that need a function that is nil are skipped and say so.
type Fixture struct {
	// Storage is the store. Groups for fosite's Transactional, ClientManager and
	// ResourceOwnerPasswordCredentialsGrantStorage run if it implements those too.
	Storage oauth2.TokenRevocationStorage

	// AddClient makes a client known to stores that look up the client of a stored request by its ID. May be nil.
	AddClient func(client fosite.Client) error

	// AddUser makes a user known to Authenticate.
	AddUser func(name, password string) error

	// Advance lets time pass for the store: a fake clock's step, or a sleep.
	Advance func(d time.Duration)

	// Break takes the store's database away until heal is called.
	Break func() (heal func())

	// Leftovers lists what the database still holds of sessions, indexes included. It must be empty when all of
	// them have expired.
	Leftovers func() ([]string, error)
}
