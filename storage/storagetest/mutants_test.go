package storagetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// tokens is the store that the mutants wrap. Each mutant has one mistake that real stores have made. The suite must find it: a
// listed deviation that passes is a failure.
type tokens interface {
	fositestorage.Transactional
	CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error
	GetAccessTokenSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error)
	DeleteAccessTokenSession(ctx context.Context, signature string) error
	CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error
	GetRefreshTokenSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error)
	DeleteRefreshTokenSession(ctx context.Context, signature string) error
	RotateRefreshToken(ctx context.Context, requestID, signature string) error
	RevokeRefreshToken(ctx context.Context, requestID string) error
	RevokeAccessToken(ctx context.Context, requestID string) error
}

// noRequest returns ErrInactiveToken without the request: fosite's handler then panics.
type noRequest struct{ tokens }

func (m noRequest) GetRefreshTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.tokens.GetRefreshTokenSession(ctx, sig, s)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// notFound turns every error into ErrNotFound: an outage then ends every session.
type notFound struct{ tokens }

func (m notFound) GetAccessTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.tokens.GetAccessTokenSession(ctx, sig, s)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	return req, nil
}

// nilSession dereferences the session, which is nil in a revocation.
type nilSession struct{ tokens }

func (m nilSession) GetRefreshTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	_ = s.GetSubject()
	return m.tokens.GetRefreshTokenSession(ctx, sig, s)
}

// detached fills another session than the caller's.
type detached struct{ tokens }

func (m detached) GetAccessTokenSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	return m.tokens.GetAccessTokenSession(ctx, sig, &storagetest.Session{})
}

// hidden has transactions that do nothing.
type hidden struct{ tokens }

func (m hidden) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }
func (m hidden) Commit(context.Context) error                         { return nil }
func (m hidden) Rollback(context.Context) error                       { return nil }

// checkThenSet checks the token and sets it in two steps.
type checkThenSet struct{ hidden }

func (m checkThenSet) RotateRefreshToken(ctx context.Context, _, signature string) error {
	_, err := m.GetRefreshTokenSession(ctx, signature, nil)
	time.Sleep(time.Millisecond)
	return err
}

// oneOnly revokes the refresh token and not the access tokens.
type oneOnly struct{ tokens }

func (m oneOnly) RevokeAccessToken(context.Context, string) error { return nil }

// wrongExpiry stores access tokens with a wrong expiry.
type wrongExpiry struct{ tokens }

func (m wrongExpiry) CreateAccessTokenSession(ctx context.Context, sig string, req fosite.Requester) error {
	req.GetSession().SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	return m.tokens.CreateAccessTokenSession(ctx, sig, req)
}

// strictDelete returns an error for unknown tokens, where fosite expects none.
type strictDelete struct{ tokens }

func (m strictDelete) DeleteAccessTokenSession(ctx context.Context, sig string) error {
	if _, err := m.GetAccessTokenSession(ctx, sig, nil); err != nil {
		return errors.New("no rows affected")
	}
	return m.tokens.DeleteAccessTokenSession(ctx, sig)
}

func TestSuiteFindsMistakes(t *testing.T) {
	for name, mutant := range map[string]struct {
		store  func(tokens) tokens
		caught []string
	}{
		"ErrInactiveToken without the request": {
			func(s tokens) tokens { return noRequest{s} },
			[]string{"refresh/rotation replaces the token and makes the old one inactive", "handler/detects reuse and ends the session"},
		},
		"ErrNotFound during an outage": {
			func(s tokens) tokens { return notFound{s} },
			[]string{"outage/every call returns an error that is not a refusal", "access/a canceled context is not a refusal"},
		},
		"no nil session":                         {func(s tokens) tokens { return nilSession{s} }, []string{"refresh/a nil session is allowed"}},
		"another session":                        {func(s tokens) tokens { return detached{s} }, []string{"access/the session given is filled and becomes the request's"}},
		"transactions that do nothing":           {func(s tokens) tokens { return hidden{s} }, []string{"transaction/is invisible until it is committed", "transaction/writes nothing when it is rolled back"}},
		"check, then set":                        {func(s tokens) tokens { return checkThenSet{hidden{s}} }, []string{"concurrency/concurrent refreshes of one token have one winner"}},
		"access tokens survive a revocation":     {func(s tokens) tokens { return oneOnly{s} }, []string{"revocation/by request ID ends every access token of the session", "revocation/ends only that session"}},
		"wrong expiry":                           {func(s tokens) tokens { return wrongExpiry{s} }, []string{"expiry/expired sessions leave nothing behind", "expiry/a token that has already expired is not kept forever"}},
		"delete of an unknown token is an error": {func(s tokens) tokens { return strictDelete{s} }, []string{"access/deleting an unknown token is not an error"}},
	} {
		t.Run(name, func(t *testing.T) {
			mustFail(t, name, mutant.caught, func(t *testing.T) storagetest.Fixture {
				return redisFixture(t, func(s *storage.Store) revocable { return mutant.store(s) })
			})
		})
	}
}
