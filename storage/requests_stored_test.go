package storage

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

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
