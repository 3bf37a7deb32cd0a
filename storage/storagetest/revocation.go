package storagetest

import (
	"errors"

	"github.com/ory/fosite"
)

// revokeSession makes the calls of fosite's revocation handler and of its reuse detection.
func (c *check) revokeSession(id string) error {
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
		c.wantRefused("the refresh token", req, err)
	}},
	{"by request ID ends every access token of the session", func(c *check) {
		first := c.login("alice")
		// A static refresh: a further access token for the same session.
		second := login{req: first.req, access: c.Signature(first.req.GetID()), refresh: first.refresh}
		c.must(c.Storage.CreateAccessTokenSession(c.ctx, second.access, second.req), "CreateAccessTokenSession")
		req, err := c.getAccess(first)
		c.wantAccepted("the first access token beside the second", req, err)
		c.must(c.Storage.RevokeAccessToken(c.ctx, first.req.GetID()), "RevokeAccessToken")
		req, err = c.getAccess(second)
		c.wantRefused("the second access token", req, err)
		req, err = c.getAccess(first)
		c.wantRefused("the first access token", req, err)
	}},
	{"ends only that session", func(c *check) {
		revoked, other := c.login("alice"), c.login("alice")
		c.must(c.revokeSession(revoked.req.GetID()), "revoke")
		req, err := c.getRefresh(other)
		c.wantAccepted("the refresh token of the same user's other session", req, err)
		req, err = c.getAccess(other)
		c.wantAccepted("the access token of the same user's other session", req, err)
		req, err = c.getAccess(revoked)
		c.wantRefused("the access token of the revoked session", req, err)
	}},
	{"of an unknown session is not an error", func(c *check) {
		l := c.login("alice")
		for _, id := range []string{l.req.GetID(), l.req.GetID(), c.RequestID("alice"), "never-seen"} {
			c.must(c.revokeSession(id), "revoke")
		}
	}},
	{"ends all generations", func(c *check) {
		one := c.login("alice")
		two := c.mustRotate(one)
		three := c.mustRotate(two)
		c.must(c.revokeSession(three.req.GetID()), "revoke")
		for i, l := range []login{one, two, three} {
			req, err := c.getRefresh(l)
			c.wantRefused("a refresh token of the revoked session", req, err)
			if i == 2 {
				req, err = c.getAccess(l)
				c.wantRefused("the newest access token of the revoked session", req, err)
			}
		}
	}},
	{"stops rotation", func(c *check) {
		l := c.login("alice")
		c.must(c.revokeSession(l.req.GetID()), "revoke")
		next, err := c.rotate(l)
		if err == nil || !isRefusal(err) {
			c.errorf("rotation in a revoked session: error %v, want a refusal", err)
		}
		req, err := c.getRefresh(next)
		c.wantRefused("a successor in a revoked session", req, err)
	}},
	{"after reuse leaves no valid token", func(c *check) {
		old := c.login("alice")
		next := c.mustRotate(old)
		c.passGrace()
		req, err := c.getRefresh(old)
		if !errors.Is(err, fosite.ErrInactiveToken) || req == nil {
			c.fatalf("replay: request %v, error %v; want the request with ErrInactiveToken", req, err)
		}
		c.must(c.Storage.DeleteRefreshTokenSession(c.ctx, old.refresh), "DeleteRefreshTokenSession")
		c.must(c.revokeSession(req.GetID()), "revoke")
		for _, l := range []login{old, next} {
			req, err := c.getRefresh(l)
			c.wantRefused("a refresh token after reuse", req, err)
		}
		req, err = c.getAccess(next)
		c.wantRefused("the access token after reuse", req, err)
	}},
	{"does not affect later logins", func(c *check) {
		l := c.login("alice")
		c.must(c.revokeSession(l.req.GetID()), "revoke")
		again := c.login("alice")
		req, err := c.getRefresh(again)
		c.wantAccepted("the refresh token of a later login", req, err)
	}},
}
