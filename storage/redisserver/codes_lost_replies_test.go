package redisserver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// go-redis sends a command again when its reply was lost. A redemption that has then already been executed is not a second one,
// within a transaction and without one.
func TestLostRepliesAreNotASecondRedemption(t *testing.T) {
	for name, tokens := range map[string]bool{"with tokens": true, "by itself": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			addr := storagetest.StartInstance(t).Addr
			p := storagetest.StartProxy(t, addr)
			s, direct := newStore(t, connect(t, p.Addr)), newStore(t, connect(t, addr))
			c := &storage.Client{ID: "app", Public: true, Grants: []string{"password"}}
			put(t, s, c)
			p.Set(storagetest.Faults{CutAfter: 0.2})
			redeemed := 0
			for n := range 60 {
				signature, req := issueCode(t, direct, c, n%2 == 0, "alice")
				var err error
				if tokens {
					err = redeem(ctx, s, signature, fmt.Sprint(n))
				} else {
					err = s.InvalidateAuthorizeCodeSession(ctx, signature)
				}
				switch {
				case errors.Is(err, fosite.ErrTemporarilyUnavailable): // go-redis has given up
					continue
				case err != nil:
					t.Fatalf("code %d: %v; a lost reply was taken for another caller", n, err)
				}
				redeemed++
				if tokens {
					access, _ := codeTokens(signature, req.ID, fmt.Sprint(n))
					if _, err := direct.GetAccessTokenSession(ctx, access, &storagetest.Session{}); err != nil {
						t.Errorf("code %d: its access token: %v", n, err)
					}
				}
				if _, err := direct.GetAuthorizeCodeSession(ctx, signature, &storagetest.Session{}); !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
					t.Errorf("code %d: afterwards: %v", n, err)
				}
			}
			if _, after := p.Cuts(); after < 5 || redeemed < 30 {
				t.Errorf("%d replies were cut off, %d codes redeemed: the test shows nothing", after, redeemed)
			}
		})
	}
}

// A request that is stored or deleted again, since the reply was lost, is stored or deleted once.
func TestLostRepliesOfRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := storagetest.StartProxy(t, storagetest.StartInstance(t).Addr)
	s := newStore(t, connect(t, p.Addr))
	c := &storage.Client{ID: "app", Public: true, Grants: []string{"password"}}
	put(t, s, c)
	p.Set(storagetest.Faults{CutAfter: 0.2})
	again := func(what string, f func() error) {
		t.Helper()
		err := f()
		for end := time.Now().Add(hang); errors.Is(err, fosite.ErrTemporarilyUnavailable) && time.Now().Before(end); {
			err = f()
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range 20 {
		req := request(storage.NewSessionID("alice"), "alice", c)
		name := fmt.Sprint(n)
		again("PKCE", func() error { return s.CreatePKCERequestSession(ctx, name, req) })
		again("PKCE", func() error { _, err := s.GetPKCERequestSession(ctx, name, &storagetest.Session{}); return err })
		again("PKCE", func() error { return s.DeletePKCERequestSession(ctx, name) })
		again("OpenID", func() error { return s.CreateOpenIDConnectSession(ctx, name, req) })
		again("OpenID", func() error { _, err := s.GetOpenIDConnectSession(ctx, name, req); return err })
		again("OpenID", func() error { return s.DeleteOpenIDConnectSession(ctx, name) })
		again("PAR", func() error { return s.CreatePARSession(ctx, name, &fosite.AuthorizeRequest{Request: *req}) })
		again("PAR", func() error { _, err := s.GetPARSession(ctx, name); return err })
		again("PAR", func() error { return s.DeletePARSession(ctx, name) })
		again("code", func() error { return s.CreateAuthorizeCodeSession(ctx, name, req) })
		var nonce string
		again("nonce", func() (err error) { nonce, err = s.NewNonce(ctx, "token", time.Now().Add(time.Hour)); return err })
		again("nonce", func() error { return s.IsNonceValid(ctx, "token", nonce) })
	}
	if _, after := p.Cuts(); after < 5 {
		t.Errorf("only %d replies were cut off: the test shows nothing", after)
	}
}
