package storagetest

import (
	"errors"
	"time"

	"github.com/ory/fosite"
)

// codeExpiryCases are part of the group expiry.
var codeExpiryCases = []testCase{
	{"codes expire", func(c *check) {
		codes := c.codes()
		code, stays := codes.store(c, "alice", shortTTL), codes.store(c, "alice", time.Hour)
		c.advance(shortTTL + 1100*time.Millisecond)
		codes.wantExpired(c, "the code", code)
		c.wantOpen("a code with a longer TTL", stays)
		next, err := c.redeem(code)
		c.wantRefusal("redemption of an expired code", err)
		c.wantNoRefresh("of an expired code", next)
		c.wantTokens("of a code with a longer TTL", c.mustRedeem(stays))
	}},
	{"tokens outlive their code", func(c *check) {
		code := c.codes().store(c, "alice", shortTTL)
		next := c.mustRedeem(code)
		c.advance(shortTTL + 1100*time.Millisecond)
		c.wantTokens("of an expired code", next)
		c.mustRotate(next)
	}},
	{"a used code is told apart until it expires", func(c *check) {
		redeemed, invalidated := c.newCode(10*time.Minute), c.newCode(10*time.Minute)
		c.mustRedeem(redeemed)
		c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, invalidated.key), "InvalidateAuthorizeCodeSession")
		c.advance(2 * time.Second)
		c.wantUsed("a redeemed code", redeemed)
		c.wantUsed("an invalidated code", invalidated)
	}},
	{"a used code does not stay open by its use", func(c *check) {
		code := c.codes().store(c, "alice", shortTTL)
		c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key), "InvalidateAuthorizeCodeSession")
		c.advance(shortTTL + 1100*time.Millisecond)
		if _, err := c.codes().find(c, code); err == nil || !isRefusal(err) {
			c.errorf("a used code that has expired: error %v, want ErrNotFound or ErrInvalidatedAuthorizeCode", err)
		}
	}},
	{"PKCE requests expire", func(c *check) { c.requestsExpire(c.pkceRequests()) }},
	{"OpenID Connect requests expire", func(c *check) { c.requestsExpire(c.openIDRequests()) }},
	{"pushed requests expire", func(c *check) {
		// fosite does not look at the time: the store must.
		uri, _ := c.push(shortTTL)
		stays, _ := c.push(time.Hour)
		untold, _ := c.push(0) // without a session the store chooses the time
		c.advance(shortTTL + 1100*time.Millisecond)
		c.wantNoPushed("an expired request", uri)
		for _, u := range []string{stays, untold} {
			if _, err := c.parStorage().GetPARSession(c.ctx, u); err != nil {
				c.errorf("a request with a longer TTL: %v", err)
			}
		}
	}},
	{"an assertion of the JWT bearer grant is forgotten when it has expired", func(c *check) {
		s := c.assertionStorage()
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-1", time.Now().Add(shortTTL)), "MarkJWTUsedForTime")
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-2", time.Now().Add(time.Hour)), "MarkJWTUsedForTime")
		c.advance(shortTTL + 1100*time.Millisecond)
		for jti, want := range map[string]bool{"assertion-1": false, "assertion-2": true} {
			if used, err := s.IsJWTUsed(c.ctx, jti); err != nil || used != want {
				c.errorf("IsJWTUsed(%q): %t, error %v; want %t", jti, used, err, want)
			}
		}
	}},
	{"nonces expire", func(c *check) {
		nonce, stays := c.newNonce(accessToken, shortTTL), c.newNonce(accessToken, time.Hour)
		c.advance(shortTTL + 1100*time.Millisecond)
		c.wantInvalidNonce("an expired nonce", accessToken, nonce)
		c.must(c.nonceManager().IsNonceValid(c.ctx, accessToken, stays), "IsNonceValid of a nonce with a longer TTL")
	}},
	{"expired codes leave nothing behind", func(c *check) {
		for i := range 4 {
			code := c.codes().store(c, "alice", shortTTL)
			switch i {
			case 1:
				c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key), "InvalidateAuthorizeCodeSession")
			case 2:
				req := c.request("alice", shortTTL, shortTTL)
				req.ID = code.req.ID
				c.must(c.issueAccess(login{req: req, access: c.Signature(req.ID)}, code), "redeem a code")
			case 3:
				// fosite makes none that has expired already, but the clock of the database may be ahead.
				for _, ttl := range []time.Duration{0, -time.Hour} {
					req := c.codeRequest("alice", ttl)
					if err := c.codes().create(c.ctx, c.Signature(req.ID), req); err != nil && !isRefusal(err) {
						c.errorf("TTL of %v: %v", ttl, err)
					}
				}
			}
		}
		c.advance(shortTTL + 1600*time.Millisecond + c.CodeMemory)
		c.wantNothingLeft()
	}},
	{"expired PKCE and OpenID Connect requests leave nothing behind", func(c *check) {
		for _, r := range []requests{c.pkceRequests(), c.openIDRequests()} {
			r.store(c, "alice", shortTTL)
			c.must(r.remove(c.ctx, r.store(c, "alice", shortTTL).key), "remove")
		}
		c.advance(shortTTL + 1600*time.Millisecond + c.CodeMemory)
		c.wantNothingLeft()
	}},
	{"expired pushed requests leave nothing behind", func(c *check) {
		c.push(shortTTL)
		uri, _ := c.push(0)
		c.must(c.parStorage().DeletePARSession(c.ctx, uri), "DeletePARSession")
		c.advance(shortTTL + 1600*time.Millisecond)
		c.wantNothingLeft()
	}},
	{"expired nonces and assertions leave nothing behind", func(c *check) {
		c.newNonce(accessToken, shortTTL)
		s := c.assertionStorage()
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-1", time.Now().Add(shortTTL)), "MarkJWTUsedForTime")
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-2", time.Now().Add(-time.Hour)), "MarkJWTUsedForTime of one that has expired")
		c.advance(shortTTL + 1600*time.Millisecond)
		c.wantNothingLeft()
	}},
}

// wantExpired checks that a request is gone, or is returned with an expiry in the past, which fosite's strategies check.
func (r requests) wantExpired(c *check, what string, s stored) {
	req, err := r.find(c, s)
	if err == nil {
		c.wantExpired(what, fosite.AuthorizeCode, req, nil)
	} else if !errors.Is(err, fosite.ErrNotFound) {
		c.errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func (c *check) requestsExpire(r requests) {
	short, stays := r.store(c, "alice", shortTTL), r.store(c, "alice", time.Hour)
	c.advance(shortTTL + 1100*time.Millisecond)
	r.wantExpired(c, "the request", short)
	req, err := r.find(c, stays)
	c.wantAccepted("a request with a longer TTL", req, err)
}
