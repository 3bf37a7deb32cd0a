package storagetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// codeStorage returns the store's authorization codes, or skips the test.
func (c *check) codeStorage() oauth2.AuthorizeCodeStorage {
	s, ok := c.Storage.(oauth2.AuthorizeCodeStorage)
	if !ok {
		c.skip("the store has no authorization codes")
	}
	return s
}

func (c *check) codes() requests {
	s := c.codeStorage()
	return requests{create: s.CreateAuthorizeCodeSession, get: s.GetAuthorizeCodeSession}
}

func (c *check) newCode(ttl time.Duration) stored { return c.codes().store(c, "alice", ttl) }

// redeem does what fosite's handler does with a store once it has checked the code, transaction included.
func (c *check) redeem(code stored) (login, error) {
	next := c.successor(code.req)
	return next, c.issue(next, "invalidate the code", func(ctx context.Context) error {
		return c.codeStorage().InvalidateAuthorizeCodeSession(ctx, code.key)
	})
}

func (c *check) mustRedeem(code stored) login {
	next, err := c.redeem(code)
	c.must(err, "redeem a code")
	return next
}

// wantUsed checks for the error by which fosite detects the second redemption of a code.
func (c *check) wantUsed(what string, code stored) {
	for _, into := range []fosite.Session{c.NewSession(), nil} {
		req, err := c.codes().get(c.ctx, code.key, into)
		switch {
		case !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode):
			c.errorf("%s: error %v, want ErrInvalidatedAuthorizeCode", what, err)
		case req == nil:
			c.errorf("%s: ErrInvalidatedAuthorizeCode without the request, whose ID fosite needs to end the session", what)
		case req.GetID() != code.req.ID:
			c.errorf("%s: request ID %q, want %q", what, req.GetID(), code.req.ID)
		}
	}
}

func (c *check) wantOpen(what string, code stored) {
	req, err := c.codes().find(c, code)
	c.wantAccepted(what, req, err)
}

func (c *check) wantTokens(what string, l login) {
	req, err := c.getAccess(l)
	c.wantAccepted(what+" (access token)", req, err)
	req, err = c.getRefresh(l)
	c.wantAccepted(what+" (refresh token)", req, err)
}

// wantNoRefresh and wantNoAccess check that tokens were not written. A store that does not keep self-contained access tokens
// cannot tell that one was not issued, so that only tests of their own ask it.
func (c *check) wantNoRefresh(what string, l login) {
	req, err := c.getRefresh(l)
	c.wantRefused(what+" (refresh token)", req, err)
}

func (c *check) wantNoAccess(what string, l login) {
	req, err := c.getAccess(l)
	c.wantRefused(what+" (access token)", req, err)
}

// wantRefusal checks the error of a redemption that must fail because of its code.
func (c *check) wantRefusal(what string, err error) {
	if err == nil || !isRefusal(err) {
		c.errorf("%s: error %v, want one of ErrInvalidatedAuthorizeCode, ErrNotFound, ErrSerializationFailure", what, err)
	}
}

var codeCases = slices.Concat(
	requestCases((*check).codes), sessionCases((*check).codes), requestTransactionCases((*check).codes), redemptionCases,
)

var redemptionCases = []testCase{
	{"a used code returns its request with ErrInvalidatedAuthorizeCode", func(c *check) {
		code, other := c.newCode(10*time.Minute), c.newCode(10*time.Minute)
		c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key), "InvalidateAuthorizeCodeSession")
		c.wantUsed("a used code", code)
		c.wantUsed("a used code, again", code)
		c.wantOpen("another code of the same user", other)
	}},
	{"a code is used once", func(c *check) {
		code := c.newCode(10 * time.Minute)
		c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key), "InvalidateAuthorizeCodeSession")
		c.wantRefusal("invalidating a used code", c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key))
		c.wantUsed("the code", code)
	}},
	{"invalidating an unknown code creates none", func(c *check) {
		ghost := stored{req: c.codeRequest("alice", 10*time.Minute)}
		for _, key := range append(malformedSignatures(), c.Signature(ghost.req.ID)) {
			ghost.key = key
			c.wantRefusal("invalidating an unknown code", c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, key))
			if req, err := c.codes().find(c, ghost); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("%.60q after that: request %v, error %v; want ErrNotFound", key, req, err)
			}
		}
	}},
	{"a redeemed code is used and its tokens are accepted", func(c *check) {
		code := c.newCode(10 * time.Minute)
		next := c.mustRedeem(code)
		c.wantUsed("the redeemed code", code)
		got, err := c.getRefresh(next)
		c.must(err, "GetRefreshTokenSession")
		c.wantSame(got, next.req)
		got, err = c.getAccess(next)
		c.must(err, "GetAccessTokenSession")
		c.wantSame(got, next.req)
		c.mustRotate(next)
	}},
	{"a code without a refresh token is redeemed too", func(c *check) {
		code := c.newCode(10 * time.Minute)
		l := c.successor(code.req)
		c.must(c.issueAccess(l, code), "redeem a code")
		req, err := c.getAccess(l)
		c.wantAccepted("the access token", req, err)
		c.wantUsed("the redeemed code", code)
	}},
	{"revoking the request of a redeemed code ends its tokens", func(c *check) {
		code, other := c.newCode(10*time.Minute), c.newCode(10*time.Minute)
		next, stays := c.mustRedeem(code), c.mustRedeem(other)
		c.must(c.Storage.RevokeAccessToken(c.ctx, code.req.ID), "RevokeAccessToken")
		c.must(c.Storage.RevokeRefreshToken(c.ctx, code.req.ID), "RevokeRefreshToken")
		c.wantNoAccess("of a code that was sent twice", next)
		c.wantNoRefresh("of a code that was sent twice", next)
		c.wantTokens("of another code", stays)
		c.wantUsed("the code after that", code)
	}},
	{"a used code issues no refresh token", func(c *check) {
		code := c.newCode(10 * time.Minute)
		first := c.mustRedeem(code)
		again, err := c.redeem(code)
		c.wantRefusal("the second redemption", err)
		c.wantNoRefresh("of the second redemption", again)
		c.wantTokens("of the first redemption", first)
	}},
	{"an unknown code issues no refresh token", func(c *check) {
		req := c.codeRequest("alice", 10*time.Minute)
		next, err := c.redeem(stored{req: req, key: c.Signature(req.ID)})
		c.wantRefusal("redemption of an unknown code", err)
		c.wantNoRefresh("of an unknown code", next)
	}},
	{"used and unknown codes issue no access token", func(c *check) {
		used := c.newCode(10 * time.Minute)
		c.mustRedeem(used)
		unknown := stored{req: c.codeRequest("bob", 10*time.Minute)}
		unknown.key = c.Signature(unknown.req.ID)
		for what, code := range map[string]stored{"of a used code": used, "of an unknown code": unknown} {
			next, err := c.redeem(code)
			c.wantRefusal("redemption "+what, err)
			c.wantNoAccess(what, next)
		}
	}},
	{"a canceled context is not a refusal", func(c *check) {
		code := c.newCode(10 * time.Minute)
		ctx, cancel := canceledContext(c.ctx)
		defer cancel()
		if _, err := c.codes().get(ctx, code.key, c.NewSession()); err != nil && isRefusal(err) {
			c.errorf("GetAuthorizeCodeSession: %v is a refusal", err)
		}
		if err := c.codeStorage().InvalidateAuthorizeCodeSession(ctx, code.key); err != nil && isRefusal(err) {
			c.errorf("InvalidateAuthorizeCodeSession: %v is a refusal", err)
		}
	}},
}
