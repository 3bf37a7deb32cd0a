package storagetest

import (
	"errors"
	"strings"
	"time"

	"github.com/ory/fosite"
)

var accessCases = []testCase{
	{"what was stored comes back", func(c *check) {
		l := c.login("alice")
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		c.wantSame(got, l.req)
	}},
	{"the form comes back", func(c *check) {
		l := c.login("alice")
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		c.wantSameForm(got, l.req)
	}},
	{"the session given is filled and becomes the request's", func(c *check) {
		l := c.login("alice")
		into := c.NewSession()
		got, err := c.Storage.GetAccessTokenSession(c.ctx, l.access, into)
		c.must(err, "GetAccessTokenSession")
		if into.GetSubject() != "alice" {
			c.errorf("subject of the session given: %q, want alice", into.GetSubject())
		}
		if got.GetSession() != into {
			c.errorf("the request carries another session than the one given")
		}
	}},
	{"a nil session is allowed", func(c *check) {
		l := c.login("alice")
		got, err := c.Storage.GetAccessTokenSession(c.ctx, l.access, nil)
		c.must(err, "GetAccessTokenSession with a nil session, as fosite's revocation asks")
		if got == nil || got.GetID() != l.req.GetID() || got.GetClient().GetID() != clientID {
			c.errorf("request %v, want ID and client of the login", got)
		}
	}},
	{"what is returned is a copy", func(c *check) {
		l := c.login("alice")
		want := copyOf(l.req)
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		mutate(got)
		again, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession again")
		c.wantSame(again, want)
	}},
	{"what is stored is a copy", func(c *check) {
		l := c.login("alice")
		want := copyOf(l.req)
		mutate(l.req)
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		c.wantSame(got, want)
	}},
	{"an unknown signature is not found", func(c *check) {
		l := c.login("alice")
		for _, signature := range append(malformedSignatures(), c.Signature(l.req.GetID()), l.refresh, l.access+"x", l.access[:len(l.access)-1]) {
			if req, err := c.Storage.GetAccessTokenSession(c.ctx, signature, c.NewSession()); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("signature %.60q: request %v, error %v; want ErrNotFound", signature, req, err)
			}
		}
	}},
	{"signatures of any shape are kept apart", func(c *check) {
		long := strings.Repeat("aB3-", 170) // the third part of a JWT signed with RSA-4096
		signatures := []string{long + "x", long + "y", "a:b", "a{b}", "a*", "a.b", "a b", "ü\x00\n", strings.ToUpper(long + "x")}
		ids := map[string]string{}
		for _, s := range signatures {
			req := c.request("alice", time.Hour, time.Hour)
			ids[s] = req.ID
			c.must(c.Storage.CreateAccessTokenSession(c.ctx, s, req), "CreateAccessTokenSession")
		}
		for _, s := range signatures {
			got, err := c.Storage.GetAccessTokenSession(c.ctx, s, c.NewSession())
			if err != nil {
				c.errorf("signature %.20q: %v", s, err)
			} else if got.GetID() != ids[s] {
				c.errorf("signature %.20q leads to the request of another token", s)
			}
		}
	}},
	{"a deleted token is not found", func(c *check) {
		l, other := c.login("alice"), c.login("alice")
		c.must(c.Storage.DeleteAccessTokenSession(c.ctx, l.access), "DeleteAccessTokenSession")
		req, err := c.getAccess(l)
		c.wantRefused("the deleted token", req, err)
		req, err = c.getAccess(other)
		c.wantAccepted("the token of another login", req, err)
		req, err = c.getRefresh(l)
		c.wantAccepted("the refresh token of the login", req, err)
	}},
	{"deleting an unknown token is not an error", func(c *check) {
		l := c.login("alice")
		for _, signature := range []string{l.access, l.access, "never-seen"} {
			if err := c.Storage.DeleteAccessTokenSession(c.ctx, signature); err != nil && !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("delete: %v, want nil or ErrNotFound", err)
			}
		}
	}},
	{"a token without a refresh token is enough", func(c *check) {
		// client_credentials: no subject, and only an access token.
		req := c.request("", time.Hour, time.Hour)
		l := login{req: req, access: c.Signature(req.ID)}
		c.must(c.Storage.CreateAccessTokenSession(c.ctx, l.access, req), "CreateAccessTokenSession")
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		c.wantSame(got, req)
	}},
	{"a canceled context is not a refusal", func(c *check) {
		l := c.login("alice")
		ctx, cancel := canceledContext(c.ctx)
		defer cancel()
		if _, err := c.Storage.GetAccessTokenSession(ctx, l.access, c.NewSession()); err != nil && isRefusal(err) {
			c.errorf("GetAccessTokenSession: %v is a refusal", err)
		}
		if _, err := c.Storage.GetRefreshTokenSession(ctx, l.refresh, c.NewSession()); err != nil && isRefusal(err) {
			c.errorf("GetRefreshTokenSession: %v is a refusal", err)
		}
	}},
}
