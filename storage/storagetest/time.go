package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

// wantOver checks that a token whose life has ended is no longer good: it is gone, or says itself that it has expired,
// which fosite's strategies look at.
func (c *check) wantOver(what string, kind fosite.TokenType, req fosite.Requester, err error) {
	if err != nil {
		c.wantDead(what, req, err)
		return
	}
	if at := req.GetSession().GetExpiresAt(kind); at.IsZero() || at.After(time.Now()) && c.Advance == nil {
		c.errorf("%s is returned without an error and expires at %v", what, at)
	}
}

const briefly = 1500 * time.Millisecond // a life that a test can wait for

var replayCases = []testCase{
	{"a token rotated away is good within the grace and used after it", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		next := c.mustRotate(old)
		req, err := c.getRefresh(old)
		c.wantAlive("the old token within the grace", req, err)
		c.outliveGrace()
		c.wantInactive("the old token after the grace", old)
		req, err = c.getRefresh(next)
		c.wantAlive("its successor", req, err)
	}},
	{"a replay within the grace forks no session", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		next := c.mustRotate(old)
		again, err := c.rotate(old)
		if err != nil && !verdict(err) {
			c.errorf("rotation again within the grace: %v is no verdict", err)
		}
		if err == nil {
			// The store lets the caller have a second pair: then both must be good, or a lost answer logs someone out.
			req, err := c.getRefresh(again)
			c.wantAlive("the pair handed out second", req, err)
		}
		req, err := c.getRefresh(next)
		c.wantAlive("the pair handed out first", req, err)
	}},
	{"the grace is no longer than it says", func(c *check) {
		if c.Grace == 0 {
			c.skip("the store is strict")
		}
		old := c.login("alice")
		c.mustRotate(old)
		c.advance(c.Grace / 2)
		_, _ = c.getRefresh(old) // looking must not prolong it
		_, _ = c.rotate(old)
		c.advance(c.Grace/2 + c.graceMargin())
		c.wantInactive("the old token after the grace", old)
	}},
}

var expiryCases = []testCase{
	{"tokens end with their life", func(c *check) {
		l := c.loginFor(c.request("alice", briefly, briefly))
		stays := c.login("alice")
		c.advance(briefly + 1100*time.Millisecond)
		req, err := c.getAccess(l)
		c.wantOver("the access token", fosite.AccessToken, req, err)
		req, err = c.getRefresh(l)
		c.wantOver("the refresh token", fosite.RefreshToken, req, err)
		req, err = c.getRefresh(stays)
		c.wantAlive("a refresh token with a longer life", req, err)
		req, err = c.getAccess(stays)
		c.wantAlive("an access token with a longer life", req, err)
		c.wantNoSuccessor(l)
	}},
	{"the refresh token outlives its access token", func(c *check) {
		l := c.loginFor(c.request("alice", briefly, time.Hour))
		c.advance(briefly + 1100*time.Millisecond)
		req, err := c.getAccess(l)
		c.wantOver("the access token", fosite.AccessToken, req, err)
		req, err = c.getRefresh(l)
		c.wantAlive("the refresh token", req, err)
		c.mustRotate(l)
	}},
	{"an access token outlives its refresh token", func(c *check) {
		l := c.loginFor(c.request("alice", time.Hour, briefly))
		c.advance(briefly + 1100*time.Millisecond)
		req, err := c.getRefresh(l)
		c.wantOver("the refresh token", fosite.RefreshToken, req, err)
		req, err = c.getAccess(l)
		c.wantAlive("the access token", req, err)
		c.wantNoSuccessor(l)
	}},
	{"rotation gives the session a new life", func(c *check) {
		old := c.loginFor(c.request("alice", briefly, briefly))
		next := c.mustRotate(old) // an hour and a day
		c.advance(briefly + 1100*time.Millisecond)
		req, err := c.getRefresh(next)
		c.wantAlive("the successor after the first token's life", req, err)
		req, err = c.getAccess(next)
		c.wantAlive("its access token", req, err)
	}},
	{"reuse is seen as long as the session lives", func(c *check) {
		old := c.login("alice")
		next := c.mustRotate(old)
		c.advance(max(2*time.Second, c.Grace+c.graceMargin()))
		c.wantInactive("the used token", old)
		req, err := c.getRefresh(next)
		c.wantAlive("its successor", req, err)
	}},
	{"a life that is over already makes nothing immortal", func(c *check) {
		for i, life := range []time.Duration{-time.Hour, -time.Millisecond, 0, time.Millisecond, 20 * time.Millisecond} {
			req := c.request(fmt.Sprint("user", i), life, life)
			l := login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
			if err := c.create(c.ctx, l); err != nil && !verdict(err) {
				c.errorf("life of %v: %v", life, err)
			}
		}
		c.advance(1100 * time.Millisecond)
		c.wantNothingLeft()
	}},
	{"nothing is left when all has expired", func(c *check) {
		for i := range 10 {
			l := c.loginFor(c.request(fmt.Sprint("user", i%3), briefly, briefly+500*time.Millisecond))
			switch i % 4 {
			case 1:
				c.must(c.end(l.req.GetID()), "revoke")
			case 2:
				c.must(c.Storage.DeleteRefreshTokenSession(c.ctx, l.refresh), "DeleteRefreshTokenSession")
			case 3:
				req := c.request(fmt.Sprint("user", i%3), briefly, briefly)
				req.ID = l.req.GetID()
				next := login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
				c.must(c.Storage.RotateRefreshToken(c.ctx, req.ID, l.refresh), "RotateRefreshToken")
				c.must(c.create(c.ctx, next), "store the successor")
			}
		}
		c.advance(briefly + 1600*time.Millisecond + c.Grace)
		c.wantNothingLeft()
	}},
	{"an assertion is forgotten after its life", func(c *check) {
		m := c.clientManager()
		c.must(m.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(time.Second)), "SetClientAssertionJWT")
		if err := m.ClientAssertionJWTValid(c.ctx, "assertion-1"); !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("a used assertion: %v, want ErrJTIKnown", err)
		}
		c.advance(2100 * time.Millisecond)
		c.must(m.ClientAssertionJWTValid(c.ctx, "assertion-1"), "the assertion after its life")
	}},
}

// wantNoSuccessor rotates a token that has expired. fosite looks at the expiry before, with a clock of its own: the store
// is the second line of defence.
func (c *check) wantNoSuccessor(expired login) {
	next, err := c.rotate(expired)
	if err == nil {
		c.errorf("an expired refresh token can be rotated")
		return
	}
	req, err := c.getRefresh(next)
	c.wantDead("a token rotated out of one that has expired", req, err)
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
