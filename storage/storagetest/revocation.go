package storagetest

import (
	"errors"

	"github.com/ory/fosite"
)

// end revokes a session as fosite's revocation handler and its reuse detection do.
func (c *check) end(id string) error {
	for _, revoke := range []func() error{
		func() error { return c.Storage.RevokeRefreshToken(c.ctx, id) },
		func() error { return c.Storage.RevokeAccessToken(c.ctx, id) },
	} {
		if err := revoke(); err != nil && !errors.Is(err, fosite.ErrNotFound) {
			return err
		}
	}
	return nil
}

var revocationCases = []testCase{
	{"by request ID ends the refresh token", func(c *check) {
		l := c.login("alice")
		c.must(c.Storage.RevokeRefreshToken(c.ctx, l.req.GetID()), "RevokeRefreshToken")
		req, err := c.getRefresh(l)
		c.wantDead("the refresh token", req, err)
	}},
	{"by request ID ends every access token of the session", func(c *check) {
		first := c.login("alice")
		// A static refresh: a further access token for the same session.
		second := login{req: first.req, access: c.Signature(first.req.GetID()), refresh: first.refresh}
		c.must(c.Storage.CreateAccessTokenSession(c.ctx, second.access, second.req), "CreateAccessTokenSession")
		req, err := c.getAccess(first)
		c.wantAlive("the first access token beside the second", req, err)
		c.must(c.Storage.RevokeAccessToken(c.ctx, first.req.GetID()), "RevokeAccessToken")
		req, err = c.getAccess(second)
		c.wantDead("the second access token", req, err)
		req, err = c.getAccess(first)
		c.wantDead("the first access token", req, err)
	}},
	{"ends one session and no other", func(c *check) {
		gone, stays := c.login("alice"), c.login("alice")
		c.must(c.end(gone.req.GetID()), "revoke")
		req, err := c.getRefresh(stays)
		c.wantAlive("the refresh token of the same user's other session", req, err)
		req, err = c.getAccess(stays)
		c.wantAlive("the access token of the same user's other session", req, err)
		req, err = c.getAccess(gone)
		c.wantDead("the access token of the revoked session", req, err)
	}},
	{"twice or at random is no failure", func(c *check) {
		l := c.login("alice")
		for _, id := range []string{l.req.GetID(), l.req.GetID(), c.RequestID("alice"), "never-seen"} {
			c.must(c.end(id), "revoke")
		}
	}},
	{"ends all generations", func(c *check) {
		one := c.login("alice")
		two := c.mustRotate(one)
		three := c.mustRotate(two)
		c.must(c.end(three.req.GetID()), "revoke")
		for i, l := range []login{one, two, three} {
			req, err := c.getRefresh(l)
			c.wantDead("a refresh token of the revoked session", req, err)
			if i == 2 {
				req, err = c.getAccess(l)
				c.wantDead("the newest access token of the revoked session", req, err)
			}
		}
	}},
	{"leaves nothing to rotate", func(c *check) {
		l := c.login("alice")
		c.must(c.end(l.req.GetID()), "revoke")
		next, err := c.rotate(l)
		if err == nil || !verdict(err) {
			c.errorf("rotation in a revoked session: error %v, want a verdict", err)
		}
		req, err := c.getRefresh(next)
		c.wantDead("a token rotated out of a revoked session", req, err)
	}},
	{"answers to reuse as fosite does leave nothing alive", func(c *check) {
		old := c.login("alice")
		next := c.mustRotate(old)
		c.outliveGrace()
		req, err := c.getRefresh(old)
		if !errors.Is(err, fosite.ErrInactiveToken) || req == nil {
			c.fatalf("replay: request %v, error %v; want the request with ErrInactiveToken", req, err)
		}
		c.must(c.Storage.DeleteRefreshTokenSession(c.ctx, old.refresh), "DeleteRefreshTokenSession")
		c.must(c.end(req.GetID()), "revoke")
		for _, l := range []login{old, next} {
			req, err := c.getRefresh(l)
			c.wantDead("a refresh token after reuse", req, err)
		}
		req, err = c.getAccess(next)
		c.wantDead("the access token after reuse", req, err)
	}},
	{"a new login after it is unharmed", func(c *check) {
		l := c.login("alice")
		c.must(c.end(l.req.GetID()), "revoke")
		again := c.login("alice")
		req, err := c.getRefresh(again)
		c.wantAlive("the refresh token of a later login", req, err)
	}},
}
