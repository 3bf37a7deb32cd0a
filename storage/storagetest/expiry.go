package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

// wantExpired checks that an expired token is refused, or returned with an expiry in the past, which fosite's strategies
// check.
func (c *check) wantExpired(what string, kind fosite.TokenType, req fosite.Requester, err error) {
	if err != nil {
		c.wantRefused(what, req, err)
		return
	}
	if at := req.GetSession().GetExpiresAt(kind); at.IsZero() || at.After(time.Now()) && c.Advance == nil {
		c.errorf("%s is returned without an error and expires at %v", what, at)
	}
}

// shortTTL is how long a test waits for a token to expire. It is long enough for the steps before that on a busy machine.
const shortTTL = 3 * time.Second

var replayCases = []testCase{
	{"a rotated token is accepted within the grace and inactive after it", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		next := c.mustRotate(old)
		req, err := c.getRefresh(old)
		c.wantAccepted("the old token within the grace", req, err)
		c.passGrace()
		c.wantInactive("the old token after the grace", old)
		req, err = c.getRefresh(next)
		c.wantAccepted("its successor", req, err)
	}},
	{"a replay within the grace does not fork the session", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		next := c.mustRotate(old)
		again, err := c.rotate(old)
		if err != nil && !isRefusal(err) {
			c.errorf("rotation again within the grace: %v is not a refusal", err)
		}
		if err == nil {
			// A store that issues a second pair must accept both: the caller may have received either one.
			req, err := c.getRefresh(again)
			c.wantAccepted("the pair handed out second", req, err)
		}
		req, err := c.getRefresh(next)
		c.wantAccepted("the pair handed out first", req, err)
	}},
	{"the grace ends when it should", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		c.mustRotate(old)
		c.advance(c.Grace / 2)
		_, _ = c.getRefresh(old) // a look-up must not extend the grace
		_, _ = c.rotate(old)
		c.advance(c.Grace/2 + c.graceMargin())
		c.wantInactive("the old token after the grace", old)
	}},
}

var expiryCases = []testCase{
	{"tokens expire", func(c *check) {
		l := c.loginFor(c.request("alice", shortTTL, shortTTL))
		stays := c.login("alice")
		c.advance(shortTTL + 1100*time.Millisecond)
		req, err := c.getAccess(l)
		c.wantExpired("the access token", fosite.AccessToken, req, err)
		req, err = c.getRefresh(l)
		c.wantExpired("the refresh token", fosite.RefreshToken, req, err)
		req, err = c.getRefresh(stays)
		c.wantAccepted("a refresh token with a longer TTL", req, err)
		req, err = c.getAccess(stays)
		c.wantAccepted("an access token with a longer TTL", req, err)
		c.wantNoSuccessor(l)
	}},
	{"the refresh token outlives its access token", func(c *check) {
		l := c.loginFor(c.request("alice", shortTTL, time.Hour))
		c.advance(shortTTL + 1100*time.Millisecond)
		req, err := c.getAccess(l)
		c.wantExpired("the access token", fosite.AccessToken, req, err)
		req, err = c.getRefresh(l)
		c.wantAccepted("the refresh token", req, err)
		c.mustRotate(l)
	}},
	{"an access token outlives its refresh token", func(c *check) {
		l := c.loginFor(c.request("alice", time.Hour, shortTTL))
		c.advance(shortTTL + 1100*time.Millisecond)
		req, err := c.getRefresh(l)
		c.wantExpired("the refresh token", fosite.RefreshToken, req, err)
		req, err = c.getAccess(l)
		c.wantAccepted("the access token", req, err)
		c.wantNoSuccessor(l)
	}},
	{"rotation renews the TTL", func(c *check) {
		old := c.loginFor(c.request("alice", shortTTL, shortTTL))
		next := c.mustRotate(old) // an hour and a day
		c.advance(shortTTL + 1100*time.Millisecond)
		req, err := c.getRefresh(next)
		c.wantAccepted("the successor after the first token has expired", req, err)
		req, err = c.getAccess(next)
		c.wantAccepted("its access token", req, err)
	}},
	{"reuse is detected until the session expires", func(c *check) {
		old := c.login("alice")
		next := c.mustRotate(old)
		c.advance(max(2*time.Second, c.Grace+c.graceMargin()))
		c.wantInactive("the used token", old)
		req, err := c.getRefresh(next)
		c.wantAccepted("its successor", req, err)
	}},
	{"a token that has already expired is not kept forever", func(c *check) {
		for i, ttl := range []time.Duration{-time.Hour, -time.Millisecond, 0, time.Millisecond, 20 * time.Millisecond} {
			req := c.request(fmt.Sprint("user", i), ttl, ttl)
			l := login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
			if err := c.create(c.ctx, l); err != nil && !isRefusal(err) {
				c.errorf("TTL of %v: %v", ttl, err)
			}
		}
		c.advance(1100 * time.Millisecond)
		c.wantNothingLeft()
	}},
	{"expired sessions leave nothing behind", func(c *check) {
		for i := range 10 {
			l := c.loginFor(c.request(fmt.Sprint("user", i%3), shortTTL, shortTTL+500*time.Millisecond))
			switch i % 4 {
			case 1:
				c.must(c.revokeSession(l.req.GetID()), "revoke")
			case 2:
				c.must(c.Storage.DeleteRefreshTokenSession(c.ctx, l.refresh), "DeleteRefreshTokenSession")
			case 3:
				req := c.request(fmt.Sprint("user", i%3), shortTTL, shortTTL)
				req.ID = l.req.GetID()
				next := login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
				c.must(c.Storage.RotateRefreshToken(c.ctx, req.ID, l.refresh), "RotateRefreshToken")
				c.must(c.create(c.ctx, next), "store the successor")
			}
		}
		c.advance(shortTTL + 1600*time.Millisecond + c.Grace)
		c.wantNothingLeft()
	}},
	{"an assertion is forgotten when it has expired", func(c *check) {
		m := c.clientManager()
		c.must(m.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(shortTTL)), "SetClientAssertionJWT")
		if err := m.ClientAssertionJWTValid(c.ctx, "assertion-1"); !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("a used assertion: %v, want ErrJTIKnown", err)
		}
		c.advance(shortTTL + 1100*time.Millisecond)
		c.must(m.ClientAssertionJWTValid(c.ctx, "assertion-1"), "the assertion after it has expired")
	}},
}

// wantNoSuccessor rotates an expired token. fosite checks the expiry before that with its own clock, which may differ from
// the store's.
func (c *check) wantNoSuccessor(expired login) {
	next, err := c.rotate(expired)
	if err == nil {
		c.errorf("an expired refresh token can be rotated")
		return
	}
	req, err := c.getRefresh(next)
	c.wantRefused("the successor of an expired token", req, err)
}

func (c *check) wantNothingLeft() {
	if c.Leftovers == nil {
		c.skip("the fixture cannot list what is left")
	}
	left, err := c.Leftovers()
	c.must(err, "Leftovers")
	if len(left) > 0 {
		c.errorf("still there: %q", left)
	}
}
