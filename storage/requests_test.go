package storage

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

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

// Within a transaction the OpenID Connect request stays, because the transaction may fail.
func TestOpenIDRequestStaysWithinATransaction(t *testing.T) {
	s, requester := newCodeStore(t, storagetest.StartMiniredis(t)), &fosite.Request{Session: &storagetest.Session{}}
	i := s.issue(true, "alice", time.Minute)
	ctx, err := s.BeginTX(t.Context())
	err = errors.Join(err, s.CreateOpenIDConnectSession(ctx, "code", i.request), s.DeleteOpenIDConnectSession(ctx, "code"), s.Rollback(ctx))
	if _, get := s.GetOpenIDConnectSession(t.Context(), "code", requester); err != nil || get != nil {
		t.Errorf("%v, %v", err, get)
	}
}

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

// Everything of a pushed request that fosite reads comes back (RFC 9126), and it is used once.
func TestPushedRequest(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		session := &storagetest.Session{Subject: "alice", Username: "Alice"}
		session.SetExpiresAt(fosite.PushedAuthorizeRequestContext, time.Now().Add(time.Minute))
		want := &fosite.AuthorizeRequest{
			ResponseTypes: fosite.Arguments{"code", "id_token"}, HandledResponseTypes: fosite.Arguments{"code"}, State: "a state",
			RedirectURI: must(url.Parse("https://app.example/done?x=1")), ResponseMode: fosite.ResponseModeFormPost,
			DefaultResponseMode: fosite.ResponseModeFragment,
			Request: fosite.Request{
				ID: "request", Client: codeClient(), Session: session, RequestedAt: time.Now().UTC().Truncate(time.Millisecond),
				RequestedScope: fosite.Arguments{"a", "b"}, GrantedScope: fosite.Arguments{"a"},
				RequestedAudience: fosite.Arguments{"c", "d"}, GrantedAudience: fosite.Arguments{"c"},
				Form: url.Values{"prompt": {"consent"}, "id_token_hint": {"hint"}, "claims": {"{}"}, "client_secret": {"hidden-secret"}, "client_assertion": {"hidden-jwt"}},
			},
		}
		if err := s.CreatePARSession(ctx, "urn:1", want); err != nil {
			t.Fatal(err)
		}
		got, err := s.GetPARSession(ctx, "urn:1")
		if err != nil {
			t.Fatal(err)
		}
		sameRequest(t, got, &want.Request)
		for what, values := range map[string][2]any{
			"response types": {got.GetResponseTypes(), want.ResponseTypes}, "state": {got.GetState(), want.State},
			"redirect URI": {got.GetRedirectURI().String(), want.RedirectURI.String()}, "time": {got.GetRequestedAt(), want.RequestedAt},
			"mode": {got.GetResponseMode(), want.ResponseMode}, "default mode": {got.GetDefaultResponseMode(), want.DefaultResponseMode},
			"form": {got.GetRequestForm(), url.Values{"prompt": {"consent"}, "id_token_hint": {"hint"}, "claims": {"{}"}}},
		} {
			if d := cmp.Diff(values[1], values[0]); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		got.SetResponseTypeHandled("id_token")
		expires := got.GetSession().GetExpiresAt(fosite.PushedAuthorizeRequestContext)
		if !got.DidHandleAllResponseTypes() || expires.Sub(session.GetExpiresAt(fosite.PushedAuthorizeRequestContext)).Abs() > time.Second {
			t.Errorf("handled %v, expires %v", got.DidHandleAllResponseTypes(), expires)
		}
		if want.Form.Get("client_secret") != "hidden-secret" {
			t.Error("the caller's form has changed")
		}
		if err := errors.Join(s.DeletePARSession(ctx, "urn:1"), s.DeletePARSession(ctx, "urn:1")); err != nil {
			t.Error(err)
		}
		_, err = s.GetPARSession(ctx, "urn:1")
		s.notCode("a deleted pushed request", err)

		bare := &fosite.AuthorizeRequest{Request: fosite.Request{ID: "bare", Client: codeClient()}}
		if err := s.CreatePARSession(ctx, "urn:2", bare); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetPARSession(ctx, "urn:2"); err != nil || got.GetSession() != nil || got.GetRedirectURI() != nil {
			t.Errorf("a request with nothing: %+v, %v", got, err)
		}
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Every key of a code, of its requests and of a nonce has a TTL, and none of them, nor any value, has a token, a code or a secret in
// it.
func TestCodesStoreNoSecretsAndExpire(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		before := contents(t, s.Tokens.db.Client, r.Keys(t))
		i := s.issue(false, "alice", time.Minute)
		i.request.Form = url.Values{}
		for _, name := range append([]string{"plain"}, secretParameters...) {
			i.request.Form.Set(name, "hidden-"+name)
		}
		const code, uri, token = "hidden-whole-code", "urn:hidden-uri", "hidden-access-token"
		for name, err := range map[string]error{
			"code": s.CreateAuthorizeCodeSession(ctx, "hidden-signature", i.request), "PKCE": s.CreatePKCERequestSession(ctx, "hidden-signature", i.request),
			"OpenID Connect": s.CreateOpenIDConnectSession(ctx, code, i.request),
			"PAR":            s.CreatePARSession(ctx, uri, &fosite.AuthorizeRequest{Request: *i.request}),
		} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		nonce, err := s.NewNonce(ctx, token, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		after, plain := contents(t, s.Tokens.db.Client, r.Keys(t)), 0
		for key, value := range after {
			if _, old := before[key]; old {
				continue
			}
			plain += strings.Count(value, "hidden-plain")
			left := strings.ReplaceAll(value, "hidden-plain", "")
			if strings.Contains(key+left, "hidden") || strings.Contains(key+left, nonce) {
				t.Errorf("%q: %q", key, value)
			}
			if !strings.HasSuffix(value, "true") {
				t.Errorf("%q has no TTL", key)
			}
		}
		if plain != 4 || len(after)-len(before) != 8 {
			t.Errorf("%d requests, %d keys: the test shows nothing", plain, len(after)-len(before))
		}
	})
}

// Requests of a code expire with it, and pushed ones by themselves.
func TestRequestsExpire(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	s, ctx := newCodeStore(t, r), t.Context()
	before := len(r.Keys(t))
	i := s.issue(true, "alice", time.Minute)
	i.request.Session.SetExpiresAt(fosite.PushedAuthorizeRequestContext, time.Now().Add(time.Minute))
	err := errors.Join(
		s.CreatePKCERequestSession(ctx, i.signature, i.request), s.CreateOpenIDConnectSession(ctx, "code", i.request),
		s.CreatePARSession(ctx, "urn:1", &fosite.AuthorizeRequest{Request: *i.request}))
	if err != nil {
		t.Fatal(err)
	}
	r.Advance(61 * time.Second)
	_, pkce := s.GetPKCERequestSession(ctx, i.signature, &storagetest.Session{})
	_, oidc := s.GetOpenIDConnectSession(ctx, "code", i.request)
	_, par := s.GetPARSession(ctx, "urn:1")
	for name, err := range map[string]error{"PKCE": pkce, "OpenID Connect": oidc, "PAR": par} {
		s.notCode(name, err)
	}
	r.Advance(codeMemory)
	if after := r.Keys(t); len(after) != before {
		t.Errorf("left: %q", after)
	}
}

// Records that cannot be read are unavailable.
func TestRequestRecordsThatCannotBeRead(t *testing.T) {
	s, ctx := newCodeStore(t, storagetest.StartMiniredis(t)), t.Context()
	k, rdb := s.Tokens.db.Keys, s.Tokens.db.Client
	for what, raw := range map[string]string{
		"a newer version": "\x02k\x00\x00{}", "another state": "\x01x\x00\x00{}", "a short one": "\x01k\x00", "no request": "\x01k\x00\x00",
		"a long ID": "\x01k\xff\xff{}", "": "",
	} {
		for _, key := range []string{k.Challenge("code"), k.OpenID("code"), k.Pushed("code")} {
			if err := rdb.Set(ctx, key, raw, time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}
		_, pkce := s.GetPKCERequestSession(ctx, "code", nil)
		_, oidc := s.GetOpenIDConnectSession(ctx, "code", nil)
		_, par := s.GetPARSession(ctx, "code")
		for name, err := range map[string]error{"PKCE": pkce, "OpenID Connect": oidc, "PAR": par} {
			if !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) {
				t.Errorf("%s: %s: %v, want unavailable", what, name, err)
			}
		}
	}
}
