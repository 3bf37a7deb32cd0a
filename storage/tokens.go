package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/redis/go-redis/v9"
)

// Tokens stores access and refresh tokens: the token part of fosite's storage, with atomic rotation. It is safe for
// concurrent use. Tokens themselves are never stored, only hashes of their signatures.
//
// Errors: fosite.ErrNotFound for a token that is unknown, expired or revoked; fosite.ErrInactiveToken, together with the
// request, for a refresh token that was rotated away and is past its grace; fosite.ErrSerializationFailure for the loser
// of a race. Everything else is a don't-know: errors.Is(err, fosite.ErrTemporarilyUnavailable).
type Tokens struct {
	db      *db
	clients clientGetter
}

type clientGetter interface {
	GetClient(ctx context.Context, id string) (fosite.Client, error)
}

// NewTokens returns the token part alone, for a fosite server with users and clients of its own. clients finds the client
// of a stored session again; fosite.ErrNotFound from it makes the client's tokens unknown.
func NewTokens(rdb redis.UniversalClient, clients fosite.ClientManager, options Options) (*Tokens, error) {
	d, err := newDB(rdb, options)
	if err != nil {
		return nil, err
	}
	return &Tokens{db: d, clients: clients}, nil
}

var _ oauth2.TokenRevocationStorage = (*Tokens)(nil)

// CreateAccessTokenSession implements fosite's AccessTokenStorage.
func (t *Tokens) CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error {
	return t.step(ctx, req.GetID(), signature, func(s *transition, hash string) error {
		if err := t.describe(ctx, s, req); err != nil {
			return err
		}
		s.Create = true
		s.Access, s.AccessTTL = hash[:accessLength], ttl(req, fosite.AccessToken)
		return t.point(s, signature, req, s.AccessTTL)
	})
}

// CreateRefreshTokenSession implements fosite's RefreshTokenStorage. A session has one good refresh token: another one
// that it had becomes a used one.
func (t *Tokens) CreateRefreshTokenSession(ctx context.Context, signature, _ string, req fosite.Requester) error {
	return t.step(ctx, req.GetID(), signature, func(s *transition, hash string) error {
		if err := t.describe(ctx, s, req); err != nil {
			return err
		}
		s.Create = true
		s.Refresh, s.RefreshTTL = hash, ttl(req, fosite.RefreshToken)
		return t.point(s, signature, req, s.RefreshTTL)
	})
}

// RotateRefreshToken implements fosite's RefreshTokenStorage: the token becomes a used one, if it is the good one of its
// session at that moment. Access tokens of the session stay good until they expire.
func (t *Tokens) RotateRefreshToken(ctx context.Context, requestID, signature string) error {
	at, hash, err := t.locate(ctx, signature)
	if err != nil {
		return err
	}
	return t.stepAt(ctx, at, func(s *transition) error {
		s.Present, s.Retire = hash, true
		s.used = hash[:usedLength]
		s.Grace = t.db.options.Grace.Milliseconds()
		return nil
	})
}

// RefreshSession refreshes a session in one atomic step and is what a server should prefer to the three calls of fosite's
// stock handler. presented is the signature of the token that the client showed, access the one of its new access token.
//
// With refresh == "" the presented token stays the good one (a static refresh); answer is then not used. Otherwise refresh
// is the signature of its successor, and answer what the client is about to get, sealed so that only the presented token
// opens it. When the presented token was used before and its grace is not over, nothing changes and the answer of that
// time is returned: give that to the client instead. Otherwise the returned answer is nil.
//
// Errors: fosite.ErrInactiveToken for a token used before whose grace is over: the session has ended, all of it.
// fosite.ErrNotFound for any other token that is not the good one, which ends nothing.
func (t *Tokens) RefreshSession(ctx context.Context, presented, access, refresh string, answer []byte, req fosite.Requester) ([]byte, error) {
	at, hash, err := t.locate(ctx, presented)
	if err != nil {
		return nil, err
	}
	s := &transition{at: at, Rest: at.rest(), Present: hash, used: hash[:usedLength], Theft: true}
	if err := t.describe(ctx, s, req); err != nil {
		return nil, err
	}
	if refresh != "" {
		s.Retire, s.sealed = true, answer
		s.Refresh, s.RefreshTTL = t.hashOf(refresh), ttl(req, fosite.RefreshToken)
		s.Grace = t.db.policyOf(req.GetClient()).Grace.Milliseconds()
		if err := t.point(s, refresh, req, s.RefreshTTL); err != nil {
			return nil, err
		}
	}
	s.Access, s.AccessTTL = t.hashOf(access)[:accessLength], ttl(req, fosite.AccessToken)
	if err := t.point(s, access, req, s.AccessTTL); err != nil {
		return nil, err
	}
	return t.commit(ctx, s)
}

// DeleteAccessTokenSession implements fosite's AccessTokenStorage. A token that is not there is no error.
func (t *Tokens) DeleteAccessTokenSession(ctx context.Context, signature string) error {
	return t.drop(ctx, signature, func(s *transition, hash string) { s.DropAccess = hash[:accessLength] })
}

// DeleteRefreshTokenSession implements fosite's RefreshTokenStorage. A token that is not there is no error.
func (t *Tokens) DeleteRefreshTokenSession(ctx context.Context, signature string) error {
	return t.drop(ctx, signature, func(s *transition, hash string) { s.DropRefresh = hash })
}

func (t *Tokens) drop(ctx context.Context, signature string, change func(*transition, string)) error {
	at, hash, err := t.locate(ctx, signature)
	if err == nil {
		err = t.stepAt(ctx, at, func(s *transition) error {
			change(s, hash)
			return nil
		})
	}
	return ignoreMissing(err)
}

// RevokeRefreshToken implements fosite's TokenRevocationStorage: the session gets no further tokens. A session that is not
// there is no error.
func (t *Tokens) RevokeRefreshToken(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.EndRefresh = true })
}

// RevokeAccessToken implements fosite's TokenRevocationStorage: all access tokens of the session end. A session that is not
// there is no error.
func (t *Tokens) RevokeAccessToken(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.EndAccess = true })
}

// RevokeSession ends a session with all its tokens, in one step. A session that is not there is no error.
func (t *Tokens) RevokeSession(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.EndRefresh, s.EndAccess = true, true })
}

func (t *Tokens) revoke(ctx context.Context, requestID string, change func(*transition)) error {
	at, err := t.locateRequest(ctx, requestID)
	if err == nil {
		err = t.stepAt(ctx, at, func(s *transition) error {
			change(s)
			return nil
		})
	}
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	if errors.Is(err, fosite.ErrNotFound) {
		return nil
	}
	return err
}

// maxLife is the longest that a key is given: past it Redis takes no expiry at all.
const maxLife = 100 * 365 * 24 * time.Hour

// ttl is how long a token of the request lives from now on, in milliseconds. A session that sets no expiry means never,
// which no key may be: fosite's own default of thirty days stands for it.
func ttl(req fosite.Requester, kind fosite.TokenType) int64 {
	expires := req.GetSession().GetExpiresAt(kind)
	if expires.IsZero() {
		return (30 * 24 * time.Hour).Milliseconds()
	}
	return min(time.Until(expires), maxLife).Milliseconds()
}

// SessionID returns an ID for a new session of the subject. See NewSessionID.
func (t *Tokens) SessionID(subject string) string { return NewSessionID(subject) }

// ImportedSessionID returns the ID of a session that goes on from another server's token. See ImportedSessionID.
func (t *Tokens) ImportedSessionID(subject, token string) string {
	return ImportedSessionID(subject, token)
}

// TokenSignature returns the signature of a token of the session. See Signature.
func (t *Tokens) TokenSignature(sessionID, token string) string { return Signature(sessionID, token) }
