package storage

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

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
