package storagetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

var refreshCases = []testCase{
	{"what was stored comes back", func(c *check) {
		l := c.login("alice")
		got, err := c.getRefresh(l)
		c.must(err, "GetRefreshTokenSession")
		c.wantSame(got, l.req)
	}},
	{"the session given is filled and becomes the request's", func(c *check) {
		l := c.login("alice")
		into := c.NewSession()
		got, err := c.Storage.GetRefreshTokenSession(c.ctx, l.refresh, into)
		c.must(err, "GetRefreshTokenSession")
		if into.GetSubject() != "alice" || got.GetSession() != into {
			c.errorf("the session given: subject %q; is the request's: %t", into.GetSubject(), got.GetSession() == into)
		}
	}},
	{"a nil session is allowed", func(c *check) {
		l := c.login("alice")
		got, err := c.Storage.GetRefreshTokenSession(c.ctx, l.refresh, nil)
		c.must(err, "GetRefreshTokenSession with a nil session, as fosite's revocation asks")
		if got == nil || got.GetID() != l.req.GetID() || got.GetClient().GetID() != clientID {
			c.errorf("request %v, want ID and client of the login", got)
		}
	}},
	{"what is returned is a copy", func(c *check) {
		l := c.login("alice")
		want := copyOf(l.req)
		got, err := c.getRefresh(l)
		c.must(err, "GetRefreshTokenSession")
		mutate(got)
		again, err := c.getRefresh(l)
		c.must(err, "GetRefreshTokenSession again")
		c.wantSame(again, want)
	}},
	{"an unknown signature is not found", func(c *check) {
		l := c.login("alice")
		for _, signature := range append(malformedSignatures(), c.Signature(l.req.GetID()), l.access, l.refresh+"x") {
			if req, err := c.Storage.GetRefreshTokenSession(c.ctx, signature, c.NewSession()); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("signature %.60q: request %v, error %v; want ErrNotFound", signature, req, err)
			}
		}
		req, err := c.getRefresh(l)
		c.wantAccepted("the valid token after that", req, err)
	}},
	{"rotation replaces the token and makes the old one inactive", func(c *check) {
		old := c.login("alice")
		next := c.mustRotate(old)
		got, err := c.getRefresh(next)
		c.must(err, "GetRefreshTokenSession of the new token")
		c.wantSame(got, next.req)
		got, err = c.getAccess(next)
		c.must(err, "GetAccessTokenSession of the new token")
		c.wantSame(got, next.req)
		c.passGrace()
		c.wantInactive("the old token", old)
	}},
	{"all generations but the newest are inactive and return their request", func(c *check) {
		generations := []login{c.login("alice")}
		for range 5 {
			generations = append(generations, c.mustRotate(generations[len(generations)-1]))
		}
		c.passGrace()
		for i, l := range generations[:5] {
			c.wantInactive(fmt.Sprintf("generation %d", i), l)
		}
		req, err := c.getRefresh(generations[5])
		c.wantAccepted("the newest generation", req, err)
	}},
	{"a nil session is allowed for an inactive token", func(c *check) {
		old := c.login("alice")
		c.mustRotate(old)
		c.passGrace()
		req, err := c.Storage.GetRefreshTokenSession(c.ctx, old.refresh, nil)
		if !errors.Is(err, fosite.ErrInactiveToken) || req == nil || req.GetID() != old.req.GetID() {
			c.errorf("request %v, error %v; want the request with ErrInactiveToken", req, err)
		}
	}},
	{"rotation does not affect other sessions", func(c *check) {
		one, two := c.login("alice"), c.login("alice")
		c.mustRotate(one)
		req, err := c.getRefresh(two)
		c.wantAccepted("the refresh token of another login of the same user", req, err)
		req, err = c.getAccess(two)
		c.wantAccepted("the access token of another login of the same user", req, err)
	}},
	{"rotating an unknown token creates none", func(c *check) {
		ghost := login{req: c.request("alice", time.Hour, time.Hour)}
		ghost.refresh = c.Signature(ghost.req.GetID())
		next, err := c.rotate(ghost)
		if err == nil || !isRefusal(err) {
			c.errorf("error %v, want a refusal", err)
		}
		req, err := c.getRefresh(next)
		c.wantRefused("the successor of an unknown token", req, err)
	}},
	{"rotating an inactive token creates none", func(c *check) {
		old := c.login("alice")
		c.mustRotate(old)
		c.passGrace()
		again, err := c.rotate(old)
		if err == nil || !isRefusal(err) {
			c.errorf("error %v, want a refusal", err)
		}
		req, err := c.getRefresh(again)
		c.wantRefused("the second successor of one token", req, err)
		req, err = c.getAccess(again)
		c.wantRefused("the access token beside it", req, err)
	}},
	{"rotating an unknown token with the ID of a session changes nothing", func(c *check) {
		mine, other := c.login("alice"), c.login("bob")
		_, err := c.rotate(login{req: mine.req, refresh: c.Signature(mine.req.GetID())})
		if err == nil || !isRefusal(err) {
			c.errorf("an unknown token of an active session: error %v, want a refusal", err)
		}
		req, err := c.getRefresh(mine)
		c.wantAccepted("the session's valid token", req, err)
		req, err = c.getRefresh(other)
		c.wantAccepted("the other session's token", req, err)
	}},
	{"a deleted token is not found or inactive", func(c *check) {
		l, other := c.login("alice"), c.login("alice")
		c.must(c.Storage.DeleteRefreshTokenSession(c.ctx, l.refresh), "DeleteRefreshTokenSession")
		req, err := c.getRefresh(l)
		c.wantRefused("the deleted token", req, err)
		req, err = c.getRefresh(other)
		c.wantAccepted("the token of another login", req, err)
	}},
	{"deleting an unknown token is not an error", func(c *check) {
		l := c.login("alice")
		for _, signature := range []string{l.refresh, l.refresh, "never-seen"} {
			if err := c.Storage.DeleteRefreshTokenSession(c.ctx, signature); err != nil && !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("delete: %v, want nil or ErrNotFound", err)
			}
		}
	}},
	{"a session without expiry is kept", func(c *check) {
		req := c.request("alice", time.Hour, time.Hour)
		req.Session.SetExpiresAt(fosite.RefreshToken, time.Time{})
		l := c.loginFor(req)
		got, err := c.getRefresh(l)
		c.must(err, "GetRefreshTokenSession of a token that never expires")
		if at := got.GetSession().GetExpiresAt(fosite.RefreshToken); !at.IsZero() {
			c.errorf("expires at %v, want never", at)
		}
	}},
}
