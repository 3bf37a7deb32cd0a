package storage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A code gives back its request, is used once, and is told apart afterwards (RFC 6749 section 4.1.2), within a transaction and
// without one.
func TestCodeIsUsedOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		for name, native := range codeForms {
			for how, use := range map[string]func(i *issued) error{
				"with tokens": func(i *issued) error { return s.exchange(i, nil, nil) },
				"by itself":   func(i *issued) error { return s.InvalidateAuthorizeCodeSession(ctx, i.signature) },
				"alone in a transaction": func(i *issued) error {
					ctx, err := s.BeginTX(ctx)
					return errors.Join(err, s.InvalidateAuthorizeCodeSession(ctx, i.signature), s.Commit(ctx))
				},
			} {
				i := s.issue(native, "alice", time.Minute)
				req, err := s.get(i)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				sameRequest(t, req, i.request)
				if err := use(i); err != nil {
					t.Fatalf("%s, %s: %v", name, how, err)
				}
				if req, err = s.get(i); !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) || req == nil || req.GetID() != i.request.ID {
					t.Errorf("%s, %s: a used code: %v, %v", name, how, req, err)
				}
				wantErr(t, name+", "+how+": again by itself", s.InvalidateAuthorizeCodeSession(ctx, i.signature), fosite.ErrInvalidatedAuthorizeCode)
				wantErr(t, name+", "+how+": again with tokens", s.exchange(i, nil, nil), fosite.ErrInvalidatedAuthorizeCode)
				wantErr(t, name+", "+how+": issued again", s.CreateAuthorizeCodeSession(ctx, i.signature, i.request), fosite.ErrInvalidatedAuthorizeCode)
				if s.open(i) != (how == "with tokens") {
					t.Errorf("%s, %s: tokens are %v", name, how, s.open(i))
				}
			}
		}
	})
}

// A transaction that uses a code and revokes tokens is refused whole: neither happens.
func TestCodeInATransactionThatRevokes(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		i := s.issue(true, "alice", time.Minute)
		for name, revoke := range map[string]func(tx context.Context) error{
			"an access token":     func(tx context.Context) error { return s.DeleteAccessTokenSession(tx, i.sign("access")) },
			"a refresh token":     func(tx context.Context) error { return s.DeleteRefreshTokenSession(tx, i.sign("refresh")) },
			"all access tokens":   func(tx context.Context) error { return s.RevokeAccessToken(tx, i.request.ID) },
			"all refresh tokens":  func(tx context.Context) error { return s.RevokeRefreshToken(tx, i.request.ID) },
			"a token's successor": func(tx context.Context) error { return s.RotateRefreshToken(tx, i.request.ID, i.sign("refresh")) },
		} {
			tx, err := s.BeginTX(ctx)
			if err = errors.Join(err, s.InvalidateAuthorizeCodeSession(tx, i.signature), revoke(tx)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantErr(t, name, s.Commit(tx), errMixed)
			if _, err := s.get(i); err != nil {
				t.Errorf("%s: the code is used: %v", name, err)
			}
		}
	})
}

func sameRequest(t *testing.T, got fosite.Requester, want *fosite.Request) {
	t.Helper()
	type view struct {
		ID, Client, Redirect, Subject, Username                          string
		RequestedScope, GrantedScope, RequestedAudience, GrantedAudience []string
	}
	of := func(r fosite.Requester) view {
		return view{
			r.GetID(), r.GetClient().GetID(), r.GetRequestForm().Get("redirect_uri"), r.GetSession().GetSubject(), r.GetSession().GetUsername(),
			r.GetRequestedScopes(), r.GetGrantedScopes(), r.GetRequestedAudience(), r.GetGrantedAudience(),
		}
	}
	if d := cmp.Diff(of(want), of(got)); d != "" {
		t.Error(d)
	}
}

// A transaction that fails or is rolled back leaves the code for another attempt.
func TestRollbackLeavesTheCode(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s := newCodeStore(t, r)
		for name, native := range codeForms {
			i := s.issue(native, "alice", time.Minute)
			ctx, err := s.BeginTX(t.Context())
			if err := errors.Join(err, s.InvalidateAuthorizeCodeSession(ctx, i.signature), s.Rollback(ctx)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := s.exchange(i, nil, nil); err != nil || !s.open(i) {
				t.Errorf("%s: after a rollback: %v", name, err)
			}
		}
	})
}

// Of two transactions that have both found the code open, the second to commit stores no tokens, and the first keeps its own.
func TestSecondCommitOfACodeStoresNothing(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s := newCodeStore(t, r)
		for name, native := range codeForms {
			i := s.issue(native, "alice", time.Minute)
			other := *i
			var first error
			second := s.exchange(i, nil, func() { first = s.exchange(&other, nil, nil) })
			if first != nil || !errors.Is(second, fosite.ErrInvalidatedAuthorizeCode) || !s.open(i) {
				t.Errorf("%s: %v and %v", name, first, second)
			}
		}
	})
}

// What ends the sessions of a user or a client ends open codes too, at whatever moment of the redemption it comes: no session of
// the time after it is opened by a code of the time before.
func TestCodeEndsWithItsUserAndClient(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		for form, native := range codeForms {
			for name := range codeEndings {
				for _, moment := range []string{"before", "before by itself", "between", "before the commit"} {
					if r.Kind == "redis-server" && testing.Short() {
						t.Skip("left out with -short")
					}
					what := form + ", " + name + ", " + moment
					clear := r.Client(t)
					if err := clear.FlushAll(t.Context()).Err(); err != nil {
						t.Fatal(err)
					}
					s := newCodeStore(t, r)
					i := s.issue(native, "alice", time.Minute)
					end := func() {
						if err := codeEndings[name](t.Context(), s.Store); err != nil {
							t.Fatalf("%s: %v", what, err)
						}
					}
					var err error
					switch moment {
					case "before":
						end()
						_, err = s.get(i)
						s.notCode(what+", look-up", err)
						err = s.exchange(i, nil, nil)
					case "before by itself":
						end()
						if strings.Contains(name, "client") {
							continue // the script knows no client, and no tokens follow without a look-up
						}
						err = s.InvalidateAuthorizeCodeSession(t.Context(), i.signature)
					case "between":
						err = s.exchange(i, end, nil)
					case "before the commit":
						err = s.exchange(i, nil, end)
					}
					if !strings.Contains(name, "client") || moment != "before the commit" {
						s.notCode(what, err)
					}
					if s.open(i) {
						t.Errorf("%s: the code has opened a session", what)
					}
				}
			}
		}
	})
}

// A disabled user's code is good again once she is enabled, as her tokens are. A subject that is not a user of the store has codes
// all the same.
func TestCodeOfADisabledUserAndOfAnotherDirectory(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, off, on := newCodeStore(t, r), false, true
		for name, native := range codeForms {
			i := s.issue(native, "alice", time.Minute)
			for _, active := range []*bool{&off, &on} {
				if err := s.Users.ChangeUser(t.Context(), "alice", UserChange{Active: active}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.get(i); (err == nil) != *active {
					t.Errorf("%s: active %v: %v", name, *active, err)
				}
			}
			if err := s.exchange(i, nil, nil); err != nil || !s.open(i) {
				t.Errorf("%s: enabled again: %v", name, err)
			}
			for _, subject := range []string{"bob of another directory", ""} {
				i := s.issue(native, subject, time.Minute)
				if err := s.exchange(i, nil, nil); err != nil || !s.open(i) {
					t.Errorf("%s: subject %q: %v", name, subject, err)
				}
			}
		}
	})
}
