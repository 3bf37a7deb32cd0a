package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Tokens stores access and refresh tokens: the token part of fosite's storage, with atomic rotation. It is safe for
// concurrent use. Tokens themselves are never stored, only hashes of their signatures.
//
// Errors: fosite.ErrNotFound for a token that is unknown, expired or revoked; fosite.ErrInactiveToken, together with the
// request, for a refresh token that was rotated and is past its grace period; fosite.ErrSerializationFailure for the loser
// of a race. With every other error the store was unavailable: errors.Is(err, fosite.ErrTemporarilyUnavailable).
type Tokens struct {
	db      *redisdb.DB
	clients clientGetter

	// For clients without a policy of their own.
	grace           time.Duration
	sessionsPerUser int

	timeout  time.Duration // of one operation
	later    laterCalls
	agents   agents
	pointers knownPointers
}

type clientGetter interface {
	GetClient(ctx context.Context, id string) (fosite.Client, error)
}

func newTokens(db *redisdb.DB, clients clientGetter, o Options) *Tokens {
	return &Tokens{db: db, clients: clients, grace: o.Grace, sessionsPerUser: o.SessionsPerUser, timeout: o.Timeout}
}

var _ oauth2.TokenRevocationStorage = (*Tokens)(nil)

// CreateAccessTokenSession implements fosite's AccessTokenStorage. The token does not outlive its session, if the client's policy
// gives that an end. A session keeps 1,000 access tokens at a time, those aside that are self-contained: one more ends the one that
// expires first.
func (t *Tokens) CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error {
	return t.changeOfToken(ctx, req.GetID(), signature, func(s *transition) error {
		if err := t.fillNew(ctx, s, req); err != nil {
			return err
		}
		s.access, s.step.AccessTTL = nameOf(signature).raw(), ttl(req, fosite.AccessToken)
		t.addPointers(s, signature, req, s.step.AccessTTL)
		return nil
	})
}

// CreateRefreshTokenSession implements fosite's RefreshTokenStorage. A session has one current refresh token: if it had
// another one, that becomes a used one.
func (t *Tokens) CreateRefreshTokenSession(ctx context.Context, signature, _ string, req fosite.Requester) error {
	return t.changeOfToken(ctx, req.GetID(), signature, func(s *transition) error {
		if err := t.fillNew(ctx, s, req); err != nil {
			return err
		}
		t.addRefresh(s, signature, req)
		return nil
	})
}

// RotateRefreshToken implements fosite's RefreshTokenStorage: the token becomes a used one, if it is the current one of its
// session at that moment. Its access tokens end, as in fosite's own store, unless they are self-contained: those stay valid until
// they expire.
func (t *Tokens) RotateRefreshToken(ctx context.Context, requestID, signature string) error {
	key, token, err := t.locate(ctx, signature)
	if err != nil {
		return err
	}
	return t.change(ctx, key, func(s *transition) error {
		if err := s.of(requestID); err != nil {
			return err
		}
		s.showsToken(token, signature)
		s.step.Retire, s.step.EndListed = true, true
		s.step.Grace = t.grace.Milliseconds()
		return nil
	})
}

// addRefresh adds a new refresh token to the transition.
func (t *Tokens) addRefresh(s *transition, signature string, req fosite.Requester) {
	name := nameOf(signature)
	s.refresh, s.step.Number, s.step.RefreshTTL = name.raw(), name.number, ttl(req, fosite.RefreshToken)
	t.addPointers(s, signature, req, s.step.RefreshTTL)
}

// RefreshSession refreshes a session in one atomic step. A server should prefer it to the three calls of fosite's own
// handler. presented is the signature of the refresh token that the client sent, access that of its new access token.
//
// With refresh == "" the presented token stays the current one, and answer is not used. Otherwise refresh is the signature
// of its successor, and answer is what the client is about to get, encrypted so that only the presented token decrypts it.
// When the presented token was used before and its grace period is not over, nothing changes and the answer of that time is
// returned: give that to the client instead. Otherwise the returned answer is nil.
//
// An answer whose step was executed and whose reply was lost stays in doubt, and is returned for 15 minutes instead of the grace,
// by every server on the Redis. So a client that was told to retry may do so anywhere. Without a grace the store is unavailable to
// further requests with the token while the first one may still be running.
//
// Errors: fosite.ErrInactiveToken for a token that was used before and whose grace period is over: its whole session has
// been ended. fosite.ErrNotFound for any other token that is not the current one; that ends nothing.
func (t *Tokens) RefreshSession(ctx context.Context, presented, access, refresh string, answer []byte, req fosite.Requester) ([]byte, error) {
	key, token, err := t.locate(ctx, presented)
	if err != nil {
		return nil, err
	}
	s := &transition{key: key}
	s.step.Own, s.step.EndOnReuse, s.step.Retire = key.own(), true, refresh != ""
	s.showsToken(token, presented)
	if err := t.fill(ctx, s, req); err != nil {
		return nil, err
	}
	if refresh != "" {
		s.sealed = answer
		t.addRefresh(s, refresh, req)
	}
	s.access, s.step.AccessTTL = nameOf(access).raw(), ttl(req, fosite.AccessToken)
	t.addPointers(s, access, req, s.step.AccessTTL)
	t.doubt(s)
	earlier, err := t.commit(ctx, s)
	if err == nil {
		t.confirm(ctx, s)
	}
	return earlier, err
}

// DeleteAccessTokenSession implements fosite's AccessTokenStorage. A token that is not there is not an error. The 1,001st
// self-contained token of a session that is revoked by itself ends all its access tokens.
func (t *Tokens) DeleteAccessTokenSession(ctx context.Context, signature string) error {
	return t.drop(ctx, signature, func(s *transition, token tokenName) { s.dropAccess = token.raw() })
}

// DeleteRefreshTokenSession implements fosite's RefreshTokenStorage. A token that is not there is not an error.
func (t *Tokens) DeleteRefreshTokenSession(ctx context.Context, signature string) error {
	return t.drop(ctx, signature, func(s *transition, token tokenName) { s.dropRefresh = &token })
}

func (t *Tokens) drop(ctx context.Context, signature string, change func(*transition, tokenName)) error {
	key, token, err := t.locate(ctx, signature)
	if err == nil {
		err = t.change(ctx, key, func(s *transition) error {
			s.noteForeign(signature)
			change(s, token)
			return nil
		})
	}
	return ignoreMissing(err)
}

// RevokeRefreshToken implements fosite's TokenRevocationStorage: the session gets no further tokens. A session that is not
// there is not an error.
func (t *Tokens) RevokeRefreshToken(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.step.EndRefresh = true })
}

// RevokeAccessToken implements fosite's TokenRevocationStorage: all access tokens of the session end. A session that is not
// there is not an error.
func (t *Tokens) RevokeAccessToken(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.step.EndAccess = true })
}

// RevokeSession ends a session with all its tokens, in one step. A session that is not there is not an error.
func (t *Tokens) RevokeSession(ctx context.Context, requestID string) error {
	return t.revoke(ctx, requestID, func(s *transition) { s.step.EndRefresh, s.step.EndAccess = true, true })
}

func (t *Tokens) revoke(ctx context.Context, requestID string, change func(*transition)) (err error) {
	defer unavailable.Note(ctx, &err)
	key, err := t.locateRequest(ctx, requestID)
	if err == nil {
		err = t.change(ctx, key, func(s *transition) error {
			_, native := parseSessionID(requestID)
			s.foreign = s.foreign || !native
			change(s)
			return nil
		})
	}
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fosite.ErrNotFound) && !unavailable.Is(err) {
		return nil
	}
	return err
}
