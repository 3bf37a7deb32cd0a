package redisserver_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// transaction is a unit of work of fosite's handlers.
type transaction struct {
	w   *fixture
	ctx context.Context
}

// rotate makes the calls for a refresh of session 1.
func (tx *transaction) rotate(before, access, refresh string, c *storage.Client) error {
	r := request(tx.w.ids["1"], "alice", c)
	if err := tx.w.store.RotateRefreshToken(tx.ctx, r.ID, before); err != nil {
		return err
	}
	if err := tx.w.store.CreateAccessTokenSession(tx.ctx, access, r); err != nil {
		return err
	}
	return tx.w.store.CreateRefreshTokenSession(tx.ctx, refresh, access, r)
}

// visit is a session that tells where it is from.
type visit struct{ fosite.Session }

func (*visit) Origin() (address, userAgent string) { return "192.0.2.1", "a browser" }

// code returns the signature of the code and the request that it is for.
func (w *fixture) code(f form) (signature string, req *fosite.Request) {
	if w.ids["1"] == "" {
		w.ids["1"] = storage.NewSessionID("alice")
	}
	req = request(w.ids["1"], "alice", web)
	req.Session.SetExpiresAt(fosite.AuthorizeCode, time.Now().Add(time.Hour))
	if signature = storage.Signature(req.ID, "code"); f == foreign {
		signature, req.ID = "signature "+req.ID, "request "+req.ID
	}
	w.codes = []string{signature}
	return signature, req
}

func issued(f form) func(w *fixture) {
	return func(w *fixture) {
		w.addUser("alice", "")
		w.put(web)
		signature, req := w.code(f)
		w.must(w.store.CreateAuthorizeCodeSession(w.ctx, signature, req))
	}
}

// redeemCode makes the calls of fosite's handler for the code, with new tokens.
func redeemCode(f form) func(w *fixture) error {
	return func(w *fixture) error {
		req, err := w.store.GetAuthorizeCodeSession(w.ctx, w.codes[0], &storagetest.Session{})
		if err != nil {
			return err
		}
		access, refresh := w.mint(f, req.GetID(), "1", 1)
		return w.inTransaction(func(tx *transaction) error {
			if err := w.store.InvalidateAuthorizeCodeSession(tx.ctx, w.codes[0]); err != nil {
				return err
			}
			if err := w.store.CreateAccessTokenSession(tx.ctx, access, req); err != nil {
				return err
			}
			return w.store.CreateRefreshTokenSession(tx.ctx, refresh, access, req)
		})
	}
}

// codeState tells whether a code is good.
func (w *fixture) codeState(s *storage.Store, signature string) string {
	_, err := s.GetAuthorizeCodeSession(w.ctx, signature, &storagetest.Session{})
	switch {
	case err == nil:
		return "good"
	case errors.Is(err, fosite.ErrInvalidatedAuthorizeCode):
		return "used"
	}
	return fmt.Sprint(err)
}

var issuerKey = storage.IssuerKey{
	Issuer: "issuer", Subject: "subject",
	Key: jose.JSONWebKey{Key: ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), KeyID: "key"},
}

// used is the error of whoever presents a code again.
var used = fosite.ErrInvalidatedAuthorizeCode

var codeOperations = []operation{
	{
		name:  "store code",
		setup: func(w *fixture) { w.addUser("alice", ""); w.put(web) },
		run: func(w *fixture) error {
			signature, req := w.code(plain)
			return w.store.CreateAuthorizeCodeSession(w.ctx, signature, req)
		},
	},
	{
		name:  "store code with a signature of fosite",
		setup: func(w *fixture) { w.put(web) },
		run: func(w *fixture) error {
			signature, req := w.code(foreign)
			return w.store.CreateAuthorizeCodeSession(w.ctx, signature, req)
		},
	},
	{name: "redeem code", setup: issued(plain), run: redeemCode(numbered)},
	{name: "redeem code for tokens without a number", setup: issued(plain), run: redeemCode(plain)},
	{name: "redeem code with signatures of fosite", paired: true, setup: issued(foreign), run: redeemCode(foreign)},
	{
		name: "redeem code beyond the limit of sessions",
		setup: func(w *fixture) {
			limited := *web
			limited.SessionsPerUser = 2
			w.must(w.store.PutClient(w.ctx, &limited))
			w.must(w.enter(plain, "2", "alice", &limited, 30*time.Minute))
			w.must(w.enter(plain, "3", "alice", &limited, 40*time.Minute))
			signature, req := w.code(plain)
			w.must(w.store.CreateAuthorizeCodeSession(w.ctx, signature, req))
		},
		run: redeemCode(numbered),
	},
	{
		name: "redeem code by itself", setup: issued(plain),
		run: func(w *fixture) error { return w.store.InvalidateAuthorizeCodeSession(w.ctx, w.codes[0]) },
	},
	{
		name: "redeem code in a transaction without tokens", setup: issued(plain),
		run: func(w *fixture) error {
			return w.inTransaction(func(tx *transaction) error { return w.store.InvalidateAuthorizeCodeSession(tx.ctx, w.codes[0]) })
		},
	},
	{
		name: "redeem code again", want: used,
		setup: func(w *fixture) {
			issued(plain)(w)
			w.must(w.store.InvalidateAuthorizeCodeSession(w.ctx, w.codes[0]))
		},
		run: func(w *fixture) error { return w.store.InvalidateAuthorizeCodeSession(w.ctx, w.codes[0]) },
	},
	{
		name: "store requests of a code", setup: func(w *fixture) { w.put(web) },
		run: func(w *fixture) error {
			_, req := w.code(plain)
			if err := w.store.CreatePKCERequestSession(w.ctx, "code", req); err != nil {
				return err
			}
			return w.store.CreateOpenIDConnectSession(w.ctx, "code", req)
		},
	},
	{
		name: "delete requests of a code",
		setup: func(w *fixture) {
			w.put(web)
			_, req := w.code(plain)
			w.must(w.store.CreatePKCERequestSession(w.ctx, "code", req))
			w.must(w.store.CreateOpenIDConnectSession(w.ctx, "code", req))
		},
		run: func(w *fixture) error {
			if err := w.store.DeletePKCERequestSession(w.ctx, "code"); err != nil {
				return err
			}
			return w.store.DeleteOpenIDConnectSession(w.ctx, "code")
		},
	},
	{
		name: "pushed request",
		setup: func(w *fixture) {
			w.put(web)
			_, req := w.code(plain)
			w.must(w.store.CreatePARSession(w.ctx, "used", &fosite.AuthorizeRequest{Request: *req}))
		},
		run: func(w *fixture) error {
			_, req := w.code(plain)
			if err := w.store.DeletePARSession(w.ctx, "used"); err != nil {
				return err
			}
			return w.store.CreatePARSession(w.ctx, "new", &fosite.AuthorizeRequest{Request: *req})
		},
	},
	{
		name: "nonce",
		run: func(w *fixture) error {
			_, err := w.store.NewNonce(w.ctx, "token", time.Now().Add(time.Hour))
			return err
		},
	},
	{
		name: "store issuer key",
		run:  func(w *fixture) error { return w.store.PutIssuerKey(w.ctx, issuerKey) },
	},
	{
		name: "remove issuer key", again: fosite.ErrNotFound,
		setup: func(w *fixture) { w.must(w.store.PutIssuerKey(w.ctx, issuerKey)) },
		run: func(w *fixture) error {
			return w.store.RemoveIssuerKey(w.ctx, issuerKey.Issuer, issuerKey.Subject, issuerKey.Key.KeyID)
		},
	},
}
