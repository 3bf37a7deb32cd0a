package authserver

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	fositestorage "github.com/ory/fosite/storage"
)

// Storage keeps clients, sessions and tokens: fosite's own interfaces, and the steps that fosite has no name for. Package
// storage of this module implements it in Redis. Its methods must be safe for concurrent use.
//
// Errors: fosite.ErrNotFound says that there is no such thing. An error for which
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds says that the store cannot answer, and the client gets 503. Any
// other error is a server_error.
//
// A signature is the name of a token in the store (fosite's term); it is never the token. An empty signature is that of no
// token, and looking it up is fosite.ErrNotFound.
type Storage interface {
	fosite.ClientManager // its clients must implement Client
	oauth2.TokenRevocationStorage
	fositestorage.Transactional

	// SessionID returns an ID for a new session of the subject, which is empty for a client's own session.
	SessionID(subject string) string
	// DerivedSessionID returns an ID for a new session of the same subject that is made from the session of the given ID. It
	// ends when that one does, and when one of those does that that one was made from. ok is false if there are too many.
	DerivedSessionID(from string) (id string, ok bool)
	// ImportedSessionID returns the ID of the session that continues from an imported refresh token: the same ID each time.
	ImportedSessionID(subject, token string) string
	// TokenSignature returns the signature of an access token of the session. It must not reveal the token.
	TokenSignature(sessionID, token string) string
	// RefreshSignature returns the signature of a refresh token of the session that the server has authenticated: a JWT. Its number
	// counts the refresh tokens of the session from 1; 0 is that of a token without one. A token that is not the current one and
	// has a lower number than that was used before (RefreshSession). It must not reveal the token.
	RefreshSignature(sessionID, token string, number uint32) string
	// NewRefreshToken makes an opaque refresh token of the session, with a number that ParseRefreshToken finds in it, and its
	// signature. It stores nothing. The token must not be guessed, and have no two dots and only the characters of base64url besides.
	NewRefreshToken(ctx context.Context, sessionID string, number uint32) (token, signature string, err error)
	// ParseRefreshToken returns session, signature and number of an opaque refresh token. All are zero for what cannot be one.
	// A number that NewRefreshToken did not put there must not be believed.
	ParseRefreshToken(ctx context.Context, token string) (sessionID, signature string, number uint32, err error)
	// RefreshSession makes one refresh in one atomic step. token, access and refresh are signatures: of the refresh token in
	// the request, and of the new tokens. An empty refresh leaves the token valid (static refresh). If the token was rotated
	// within the client's grace, or its rotation is in doubt, RefreshSession changes nothing and returns the response that was
	// stored with that rotation. Otherwise it stores response, which is encrypted, and returns nil. A rotation is in doubt from an
	// error that is fosite.ErrTemporarilyUnavailable until the client has retried, on any server of the store, for some minutes.
	//
	// fosite.ErrInactiveToken: the token was used before its grace; the session has been ended.
	RefreshSession(ctx context.Context, token, access, refresh string, response []byte, req fosite.Requester) ([]byte, error)
	// TokenOwner returns the session and the client of a valid token. It also finds what a disabled user's tokens and used
	// refresh tokens belong to, because revoking them has an effect.
	TokenOwner(ctx context.Context, signature string, refresh bool) (requestID, clientID string, err error)
	// OriginClients returns the IDs of the clients whose policy lists an origin (policy.Client.Origins). Every preflight asks for
	// them, so that they should come from memory, but never from more than some seconds ago while the store answers. While it
	// does not, those that were known last are better than an error.
	OriginClients(ctx context.Context, origin string) ([]string, error)
	// RevokeSession ends a session with all its tokens. A session that does not exist is not an error.
	RevokeSession(ctx context.Context, requestID string) error
}
