package authserver

import (
	"context"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	fositestorage "github.com/ory/fosite/storage"
)

// Storage is what the server needs of a store: fosite's own interfaces, so that an incomplete store is a compile error, and
// the few steps that fosite has no name for. package storage of this module has them all.
//
// Errors: fosite.ErrNotFound is a verdict, "there is no such thing". An error for which
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds is a don't-know, and the client is asked to come back (503).
type Storage interface {
	fosite.ClientManager // its clients must implement Client
	oauth2.TokenRevocationStorage
	fositestorage.Transactional

	// SessionID returns an ID for a new session of the subject.
	SessionID(subject string) string
	// ImportedSessionID returns the one ID that a session has which goes on from a token of another server.
	ImportedSessionID(subject, token string) string
	// TokenSignature returns the name under which a token of the session is stored. It must not allow to find the token.
	TokenSignature(sessionID, token string) string
	// RefreshSession makes one refresh in one atomic step. presented, access and refresh are signatures; an empty refresh
	// leaves the presented token good (static refresh). When the presented token was rotated away a moment ago it changes
	// nothing and returns the answer given then. fosite.ErrInactiveToken: used before, the session is ended.
	RefreshSession(ctx context.Context, presented, access, refresh string, answer []byte, req fosite.Requester) ([]byte, error)
	// RevokeSession ends a session with all its tokens. A session that is not there is no error.
	RevokeSession(ctx context.Context, requestID string) error
}

// Users are the people who log in, for the password grant and for what tokens say about them.
type Users interface {
	// Authenticate returns the subject of a user name and password. fosite.ErrNotFound: unknown, wrong or disabled, in the
	// same time.
	Authenticate(ctx context.Context, username, password string) (subject string, err error)
	// Claims returns what tokens say about the subject beyond its name, read anew for every token. fosite.ErrNotFound: the
	// subject gets no tokens any more.
	Claims(ctx context.Context, subject string) (map[string]any, error)
}

// ImportedTokens is what Users may offer besides: to honour tokens that another server signed with a key that was imported,
// until they expire. Without it such tokens are not valid.
type ImportedTokens interface {
	// ImportedTokenValid returns nil if a token that was issued to the subject at that time is still to be honoured. refresh is the
	// whole token if it is a refresh token, otherwise empty. fosite.ErrNotFound: it is not.
	ImportedTokenValid(ctx context.Context, subject string, issued time.Time, refresh string) error
}

// Throttle counts failed logins before a password is looked at. Its methods are safe for concurrent use.
type Throttle interface {
	// Reserve counts an attempt as failed, before it is known. A positive retryAfter refuses it: too many have failed for
	// this user or from this address.
	Reserve(ctx context.Context, user, address string) (retryAfter time.Duration, err error)
	// Succeeded forgives the attempt, because the password was right.
	Succeeded(ctx context.Context, user, address string) error
	// Cancel takes the attempt back, because it came to no verdict.
	Cancel(ctx context.Context, user, address string) error
}

// Client is an OAuth client with its policy. Every client that Storage returns must be one: the server answers a request of
// any other with an error, so that a wrapper cannot lose the policy unnoticed.
type Client interface {
	fosite.Client
	Policy() policy.Client
}

// policyOf returns the policy of a client that has come through Server.client, which refuses one without.
func policyOf(c fosite.Client) policy.Client { return c.(Client).Policy() } //nolint:errcheck,forcetypeassert // checked on entry
