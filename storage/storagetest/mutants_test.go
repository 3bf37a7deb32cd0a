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

// Each mutant is a good store with one mistake that real stores have made. The suite must catch it: a mistake that is
// listed as a known deviation and passes is a failure.
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

// noRequest forgets the request beside ErrInactiveToken: fosite's handler then panics.
type noRequest struct{ tokens }

func (m noRequest) GetRefreshTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.tokens.GetRefreshTokenSession(ctx, sig, s)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// notFound calls every failure "not found": an outage logs everyone out.
type notFound struct{ tokens }

func (m notFound) GetAccessTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.tokens.GetAccessTokenSession(ctx, sig, s)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	return req, nil
}

// nilSession cannot do without a session, and revocation has none.
type nilSession struct{ tokens }

func (m nilSession) GetRefreshTokenSession(ctx context.Context, sig string, s fosite.Session) (fosite.Requester, error) {
	_ = s.GetSubject()
	return m.tokens.GetRefreshTokenSession(ctx, sig, s)
}

// detached fills a session of its own instead of the caller's.
type detached struct{ tokens }

func (m detached) GetAccessTokenSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	return m.tokens.GetAccessTokenSession(ctx, sig, &storagetest.Session{})
}

// hidden wraps a store and hides its transactions, which fosite then silently does without.
type hidden struct{ tokens }

func (m hidden) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }
func (m hidden) Commit(context.Context) error                         { return nil }
func (m hidden) Rollback(context.Context) error                       { return nil }

// checkThenSet rotates in two steps.
type checkThenSet struct{ hidden }

func (m checkThenSet) RotateRefreshToken(ctx context.Context, _, signature string) error {
	_, err := m.GetRefreshTokenSession(ctx, signature, nil)
	time.Sleep(time.Millisecond)
	return err
}

// oneOnly revokes the refresh token and leaves access tokens alone.
type oneOnly struct{ tokens }

func (m oneOnly) RevokeAccessToken(context.Context, string) error { return nil }

// immortal forgets when sessions end.
type immortal struct{ tokens }

func (m immortal) CreateAccessTokenSession(ctx context.Context, sig string, req fosite.Requester) error {
	req.GetSession().SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	return m.tokens.CreateAccessTokenSession(ctx, sig, req)
}

// strictDelete fails where fosite expects that nothing happens.
type strictDelete struct{ tokens }

func (m strictDelete) DeleteAccessTokenSession(ctx context.Context, sig string) error {
	if _, err := m.GetAccessTokenSession(ctx, sig, nil); err != nil {
		return errors.New("no rows affected")
	}
	return m.tokens.DeleteAccessTokenSession(ctx, sig)
}

func TestTheSuiteCatchesMistakes(t *testing.T) {
	for name, mutant := range map[string]struct {
		store  func(tokens) tokens
		caught []string
	}{
		"no request beside ErrInactiveToken": {
			func(s tokens) tokens { return noRequest{s} },
			[]string{"refresh/rotation brings a new token and uses up the old one", "handler/fosite's own sees reuse and ends the session"},
		},
		"an outage is not found": {
			func(s tokens) tokens { return notFound{s} },
			[]string{"outage/is no verdict about anything", "access/a context that has ended is no verdict"},
		},
		"a session is taken for granted":     {func(s tokens) tokens { return nilSession{s} }, []string{"refresh/a nil session is allowed"}},
		"a session of its own":               {func(s tokens) tokens { return detached{s} }, []string{"access/the session given is filled and becomes the request's"}},
		"transactions that are none":         {func(s tokens) tokens { return hidden{s} }, []string{"transaction/shows nothing before the commit and everything after", "transaction/rolled back leaves nothing"}},
		"check, then set":                    {func(s tokens) tokens { return checkThenSet{hidden{s}} }, []string{"concurrency/one token refreshed by many has one winner"}},
		"access tokens survive a revocation": {func(s tokens) tokens { return oneOnly{s} }, []string{"revocation/by request ID ends every access token of the session", "revocation/ends one session and no other"}},
		"an expiry that is forgotten":        {func(s tokens) tokens { return immortal{s} }, []string{"expiry/nothing is left when all has expired", "expiry/a life that is over already makes nothing immortal"}},
		"a delete that must find something":  {func(s tokens) tokens { return strictDelete{s} }, []string{"access/deleting twice or at random is no failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			deviations, skip := map[string]string{}, map[string]string{}
			for _, n := range storagetest.Names() {
				skip[n] = "not what this mutant is for"
			}
			for _, n := range mutant.caught {
				delete(skip, n)
				deviations[n] = name
			}
			storagetest.Run(t, storagetest.Harness{
				New: func(t *testing.T) storagetest.Fixture {
					r := storagetest.StartMiniredis(t)
					s, err := storage.New(r.Client(t), storage.Options{})
					if err != nil {
						t.Fatal(err)
					}
					none := storage.Duration(0)
					return storagetest.Fixture{
						Storage: mutant.store(s),
						AddClient: func(c fosite.Client) error {
							return s.PutClient(context.Background(), &storage.Client{
								ID: c.GetID(), Public: true, Grants: c.GetGrantTypes(), Scopes: c.GetScopes(), Audience: c.GetAudience(), Grace: &none,
							})
						},
						Advance:   r.Advance,
						Break:     func() func() { return r.Break(t) },
						Leftovers: func() ([]string, error) { return leftovers(r.Keys(t)), nil },
					}
				},
				KnownDeviations: deviations, Skip: skip,
			})
		})
	}
}

func leftovers(keys []string) (left []string) {
	for _, k := range keys {
		if k != "opgrant:epoch" && k != "opgrant:clients" && k[:10] != "opgrant:c:" {
			left = append(left, k)
		}
	}
	return left
}
