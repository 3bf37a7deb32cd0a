package storagetest

import (
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/handler/rfc7523"
	"github.com/ory/fosite/handler/verifiable"
)

// furtherCalls lists the methods of those of fosite's further interfaces that the store has. See storeCalls.
func (c *check) furtherCalls(add func(name string, call func() error)) {
	if _, ok := c.Storage.(oauth2.AuthorizeCodeStorage); ok {
		c.codeCalls(add)
	}
	if _, ok := c.Storage.(pkce.PKCERequestStorage); ok {
		c.requestCalls(add, "PKCERequestSession", c.pkceRequests())
	}
	if _, ok := c.Storage.(openid.OpenIDConnectRequestStorage); ok {
		c.requestCalls(add, "OpenIDConnectSession", c.openIDRequests())
	}
	if s, ok := c.Storage.(fosite.PARStorage); ok {
		read, _ := c.push(0)
		drop, _ := c.push(0)
		add("CreatePARSession", func() error { return s.CreatePARSession(c.ctx, c.newRequestURI(), c.pushed()) })
		add("GetPARSession", func() error { _, err := s.GetPARSession(c.ctx, read); return err })
		add("an unknown pushed request", func() error { _, err := s.GetPARSession(c.ctx, c.newRequestURI()); return err })
		add("DeletePARSession", func() error { return s.DeletePARSession(c.ctx, drop) })
	}
	if s, ok := c.Storage.(rfc7523.RFC7523KeyStorage); ok {
		add("GetPublicKey", func() error { _, err := s.GetPublicKey(c.ctx, issuer, assertedBy, "key 1"); return err })
		add("GetPublicKeys", func() error { _, err := s.GetPublicKeys(c.ctx, issuer, assertedBy); return err })
		add("GetPublicKeyScopes", func() error { _, err := s.GetPublicKeyScopes(c.ctx, issuer, assertedBy, "key 1"); return err })
		add("IsJWTUsed", func() error { _, err := s.IsJWTUsed(c.ctx, "assertion-3"); return err })
		add("MarkJWTUsedForTime", func() error { return s.MarkJWTUsedForTime(c.ctx, "assertion-4", time.Now().Add(time.Hour)) })
	}
	if m, ok := c.Storage.(verifiable.NonceManager); ok {
		nonce := c.newNonce(accessToken, time.Hour)
		add("NewNonce", func() error { _, err := m.NewNonce(c.ctx, accessToken, time.Now().Add(time.Hour)); return err })
		add("IsNonceValid", func() error { return m.IsNonceValid(c.ctx, accessToken, nonce) })
	}
}

func (c *check) codeCalls(add func(name string, call func() error)) {
	s, codes := c.codeStorage(), c.codes()
	read, end, redeemed := c.newCode(time.Hour), c.newCode(time.Hour), c.newCode(time.Hour)
	create := c.codeRequest("alice", time.Hour)
	signature, unknown := c.Signature(create.ID), c.Signature(create.ID)
	add("CreateAuthorizeCodeSession", func() error { return s.CreateAuthorizeCodeSession(c.ctx, signature, create) })
	add("GetAuthorizeCodeSession", func() error { _, err := codes.find(c, read); return err })
	add("an unknown code", func() error { _, err := codes.get(c.ctx, unknown, nil); return err })
	add("InvalidateAuthorizeCodeSession", func() error { return s.InvalidateAuthorizeCodeSession(c.ctx, end.key) })
	add("a redemption", func() error { _, err := c.redeem(redeemed); return err })
}

func (c *check) requestCalls(add func(name string, call func() error), name string, r requests) {
	read, drop := r.store(c, "alice", time.Hour), r.store(c, "alice", time.Hour)
	create := c.codeRequest("alice", time.Hour)
	key, unknown := c.Signature(create.ID), c.Signature(create.ID)
	add("Create"+name, func() error { return r.create(c.ctx, key, create) })
	add("Get"+name, func() error { _, err := r.find(c, read); return err })
	add("Get"+name+" of an unknown one", func() error { _, err := r.get(c.ctx, unknown, nil); return err })
	add("Delete"+name, func() error { return r.remove(c.ctx, drop.key) })
}

// codeOutageCases are part of the group outage.
var codeOutageCases = []testCase{
	{"codes are unchanged after it", func(c *check) {
		fail, seen := c.outage(), c.login("alice")
		open, used := c.newCode(time.Hour), c.newCode(time.Hour)
		tokens := c.mustRedeem(used)
		heal := fail()
		_, _ = c.codes().find(c, open)
		heal()
		c.recover(seen)
		c.wantUsed("a used code after the outage", used)
		c.wantTokens("of a used code after the outage", tokens)
		c.wantTokens("of an open code after the outage", c.mustRedeem(open))
	}},
	{"a redemption during it does not lose the code", func(c *check) {
		fail, seen := c.outage(), c.login("alice")
		code := c.newCode(time.Hour)
		heal := fail()
		lost, err := c.redeem(code)
		if err == nil || isRefusal(err) {
			c.errorf("redemption during an outage: error %v, want one that is not a refusal", err)
		}
		heal()
		c.recover(seen)
		// The redemption was executed or not: its tokens must be accepted, or the code be open.
		_, errLost := c.getRefresh(lost)
		_, errCode := c.codes().find(c, code)
		if errLost == nil && !errors.Is(errCode, fosite.ErrInvalidatedAuthorizeCode) {
			c.errorf("the tokens are accepted and the code: %v, want ErrInvalidatedAuthorizeCode", errCode)
		}
		if errLost != nil && errCode != nil {
			c.errorf("neither the new token (%v) nor the code (%v) is accepted", errLost, errCode)
		}
	}},
}
