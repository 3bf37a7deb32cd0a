package storage

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// The requests of PKCE and OpenID Connect come back as they were stored, and can be deleted, also twice.
func TestRequestsOfACode(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		i := s.issue(true, "alice", time.Minute)
		i.request.Form = url.Values{"code_challenge": {"challenge"}, "code_challenge_method": {"S256"}, "redirect_uri": {"https://app.example/done"}, "nonce": {"nonce"}}
		for name, of := range map[string]struct {
			create, remove func() error
			get            func() (fosite.Requester, error)
		}{
			"PKCE": {
				func() error { return s.CreatePKCERequestSession(ctx, "a code of no session", i.request) },
				func() error { return s.DeletePKCERequestSession(ctx, "a code of no session") },
				func() (fosite.Requester, error) {
					return s.GetPKCERequestSession(ctx, "a code of no session", &storagetest.Session{})
				},
			},
			"OpenID Connect": {
				func() error { return s.CreateOpenIDConnectSession(ctx, "the code", i.request) },
				func() error { return s.DeleteOpenIDConnectSession(ctx, "the code") },
				func() (fosite.Requester, error) {
					return s.GetOpenIDConnectSession(ctx, "the code", &fosite.Request{Session: &storagetest.Session{}})
				},
			},
		} {
			_, err := of.get()
			s.notCode(name+": before", err)
			if err := errors.Join(of.create(), of.create()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := of.get()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sameRequest(t, got, i.request)
			if d := cmp.Diff(i.request.Form, got.GetRequestForm()); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			if err := errors.Join(of.remove(), of.remove()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			_, err = of.get()
			s.notCode(name+": deleted", err)
		}
	})
}

// fosite deletes the challenge before it compares the verifier. While the code can be redeemed, it is found all the same: a wrong
// verifier is not the way to redeem a code without one, and a client may ask again after an outage.
func TestChallengeOutlivesItsDeletion(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		for name, native := range codeForms {
			i := s.issue(native, "alice", time.Minute)
			i.request.Form.Set("code_challenge", "challenge")
			if err := errors.Join(s.CreatePKCERequestSession(ctx, i.signature, i.request), s.DeletePKCERequestSession(ctx, i.signature)); err != nil {
				t.Fatal(err)
			}
			got, err := s.GetPKCERequestSession(ctx, i.signature, &storagetest.Session{})
			if err != nil || got.GetRequestForm().Get("code_challenge") != "challenge" {
				t.Errorf("%s: the code is open: %v", name, err)
			}
			if err := s.exchange(i, nil, nil); err != nil {
				t.Fatal(err)
			}
			_, err = s.GetPKCERequestSession(ctx, i.signature, &storagetest.Session{})
			s.notCode(name+": the code is used", err)
		}
	})
}

// Within a transaction codes and requests are stored and deleted by its Commit, and a Rollback leaves everything as it was.
func TestRequestsWithinATransaction(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s := newCodeStore(t, r)
		i, requester := s.issue(false, "alice", time.Minute), &fosite.Request{Session: &storagetest.Session{}}
		get := func() map[string]error {
			_, code := s.GetAuthorizeCodeSession(t.Context(), "other", &storagetest.Session{})
			_, pkce := s.GetPKCERequestSession(t.Context(), "challenge", &storagetest.Session{})
			_, oidc := s.GetOpenIDConnectSession(t.Context(), "code", requester)
			_, par := s.GetPARSession(t.Context(), "urn:1")
			return map[string]error{"code": code, "PKCE": pkce, "OpenID Connect": oidc, "PAR": par}
		}
		create := func(ctx context.Context) error {
			return errors.Join(
				s.CreateAuthorizeCodeSession(ctx, "other", i.request), s.CreatePKCERequestSession(ctx, "challenge", i.request),
				s.CreateOpenIDConnectSession(ctx, "code", i.request), s.CreatePARSession(ctx, "urn:1", &fosite.AuthorizeRequest{Request: *i.request}))
		}
		remove := func(ctx context.Context) error {
			return errors.Join(
				s.InvalidateAuthorizeCodeSession(ctx, "other"), s.DeletePKCERequestSession(ctx, "challenge"),
				s.DeleteOpenIDConnectSession(ctx, "code"), s.DeletePARSession(ctx, "urn:1"))
		}
		for _, step := range []struct {
			name  string
			do    func(context.Context) error
			end   func(context.Context) error
			there bool
		}{
			{"stored and rolled back", create, s.Rollback, false},
			{"stored and committed", create, s.Commit, true},
			{"deleted and rolled back", remove, s.Rollback, true},
			{"deleted and committed", remove, s.Commit, false},
		} {
			ctx, err := s.BeginTX(t.Context())
			if err := errors.Join(err, step.do(ctx)); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			before := len(r.Keys(t))
			if err := step.end(ctx); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if step.name == "stored and committed" && len(r.Keys(t)) != before+5 {
				t.Errorf("%s: %d keys before the end, %d after it", step.name, before, len(r.Keys(t)))
			}
			for what, err := range get() {
				if (err == nil) != step.there {
					t.Errorf("%s: %s: %v", step.name, what, err)
				}
			}
		}
		ctx, err := s.BeginTX(t.Context())
		err = errors.Join(err, s.CreateAuthorizeCodeSession(ctx, "other", i.request), s.Commit(ctx))
		wantErr(t, "a used code, stored again", err, fosite.ErrInvalidatedAuthorizeCode)
	})
}

// A session type may hold a nil pointer until it is filled. fosite's and others' then panic when they are asked for an expiry.
func TestCodeIntoAnEmptySession(t *testing.T) {
	s := newCodeStore(t, storagetest.StartMiniredis(t))
	i := s.issue(true, "alice", time.Minute)
	i.request.Session = &wrappedSession{DefaultSession: &openid.DefaultSession{Subject: "alice"}}
	err := errors.Join(
		s.CreateAuthorizeCodeSession(t.Context(), i.signature, i.request), s.CreateOpenIDConnectSession(t.Context(), "code", i.request))
	code, get := s.GetAuthorizeCodeSession(t.Context(), i.signature, &wrappedSession{})
	oidc, found := s.GetOpenIDConnectSession(t.Context(), "code", &fosite.Request{Session: &wrappedSession{}})
	if err := errors.Join(err, get, found); err != nil || code.GetSession().GetSubject() != "alice" || oidc.GetSession().GetSubject() != "alice" {
		t.Errorf("%v, %v, %v", code, oidc, err)
	}
}

type wrappedSession struct{ *openid.DefaultSession }

func (s *wrappedSession) Clone() fosite.Session { c := *s; return &c }

// The requests of a code are decoded into the session that the tokens are for. Expiries that fosite has set in it meanwhile stay,
// also in a session that stores its fields one by one.
func TestReadingACodeKeepsTheExpiryOfTokens(t *testing.T) {
	s, ctx := newCodeStore(t, storagetest.StartMiniredis(t)), t.Context()
	i := s.issue(true, "alice", time.Minute)
	flat := &flatSession{Subject: "alice", Code: time.Now().Add(time.Minute)}
	i.request.Session = flat
	if err := errors.Join(s.CreateAuthorizeCodeSession(ctx, i.signature, i.request), s.CreatePKCERequestSession(ctx, i.signature, i.request)); err != nil {
		t.Fatal(err)
	}
	session, expires := &flatSession{}, time.Now().Add(time.Hour).UTC().Round(time.Second)
	if _, err := s.GetAuthorizeCodeSession(ctx, i.signature, session); err != nil {
		t.Fatal(err)
	}
	session.SetExpiresAt(fosite.AccessToken, expires)
	_, pkce := s.GetPKCERequestSession(ctx, i.signature, session)
	_, code := s.GetAuthorizeCodeSession(ctx, i.signature, session)
	if err := errors.Join(pkce, code); err != nil || !session.Access.Equal(expires) || session.Subject != "alice" {
		t.Errorf("%+v, %v", session, err)
	}
}

// flatSession is a session whose JSON has a field for each expiry.
type flatSession struct {
	Subject      string
	Access, Code time.Time
}

func (s *flatSession) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if kind == fosite.AccessToken {
		s.Access = at
	}
}

func (s *flatSession) GetExpiresAt(kind fosite.TokenType) time.Time {
	return map[fosite.TokenType]time.Time{fosite.AccessToken: s.Access, fosite.AuthorizeCode: s.Code}[kind]
}
func (s *flatSession) GetUsername() string   { return "" }
func (s *flatSession) GetSubject() string    { return s.Subject }
func (s *flatSession) Clone() fosite.Session { c := *s; return &c }
