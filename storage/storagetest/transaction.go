package storagetest

import (
	"context"
	"time"

	"github.com/ory/fosite/storage"
)

// transactional returns the store's transactions, or skips the test.
func (c *check) transactional() storage.Transactional {
	t, ok := c.Storage.(storage.Transactional)
	if !ok {
		c.skip("the store has no transactions")
	}
	return t
}

// beginTx opens a transaction.
func (c *check) beginTx() (context.Context, storage.Transactional) {
	t := c.transactional()
	ctx, err := t.BeginTX(c.ctx)
	c.must(err, "BeginTX")
	return ctx, t
}

func (c *check) newLogin(subject string) login {
	req := c.request(subject, time.Hour, time.Hour)
	return login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
}

var transactionCases = []testCase{
	{"is invisible until it is committed", func(c *check) {
		ctx, t := c.beginTx()
		l := c.newLogin("alice")
		c.must(c.create(ctx, l), "store a login")
		req, err := c.getRefresh(l)
		c.wantRefused("the refresh token before the commit", req, err)
		req, err = c.getAccess(l)
		c.wantRefused("the access token before the commit", req, err)
		c.must(t.Commit(ctx), "Commit")
		req, err = c.getRefresh(l)
		c.wantAccepted("the refresh token after the commit", req, err)
		req, err = c.getAccess(l)
		c.wantAccepted("the access token after the commit", req, err)
	}},
	{"writes nothing when it is rolled back", func(c *check) {
		old := c.login("alice")
		ctx, t := c.beginTx()
		l := login{req: old.req, access: c.Signature(old.req.GetID()), refresh: c.Signature(old.req.GetID())}
		c.must(c.Storage.RotateRefreshToken(ctx, old.req.GetID(), old.refresh), "RotateRefreshToken")
		c.must(c.create(ctx, l), "store the successor")
		c.must(t.Rollback(ctx), "Rollback")
		req, err := c.getRefresh(l)
		c.wantRefused("the successor after the rollback", req, err)
		req, err = c.getRefresh(old)
		c.wantAccepted("the token after the rollback of its rotation", req, err)
		req, err = c.getAccess(old)
		c.wantAccepted("the access token after the rollback", req, err)
		c.mustRotate(old)
	}},
	{"that loses a race writes nothing", func(c *check) {
		c.transactional()
		old := c.login("alice")
		next := c.mustRotate(old)
		c.passGrace()
		again, err := c.rotate(old)
		if err == nil || !isRefusal(err) {
			c.errorf("second rotation of one token: error %v, want a refusal", err)
		}
		req, err := c.getAccess(again)
		c.wantRefused("an access token of the losing transaction", req, err)
		req, err = c.getRefresh(next)
		c.wantAccepted("the winner's token", req, err)
	}},
	{"of two on one token only one commits", func(c *check) {
		old := c.login("alice")
		t := c.transactional()
		id := old.req.GetID()
		one := login{req: old.req, access: c.Signature(id), refresh: c.Signature(id)}
		two := login{req: old.req, access: c.Signature(id), refresh: c.Signature(id)}
		errs := [2]error{}
		ctxs := [2]context.Context{}
		for i, l := range []login{one, two} {
			ctx, err := t.BeginTX(c.ctx)
			c.must(err, "BeginTX")
			ctxs[i] = ctx
			if errs[i] = c.Storage.RotateRefreshToken(ctx, id, old.refresh); errs[i] == nil {
				errs[i] = c.create(ctx, l)
			}
		}
		for i := range ctxs {
			if errs[i] == nil {
				errs[i] = t.Commit(ctxs[i])
			} else {
				_ = t.Rollback(ctxs[i])
			}
		}
		if (errs[0] == nil) == (errs[1] == nil) {
			c.errorf("two transactions rotate one token: errors %v and %v, want one winner", errs[0], errs[1])
		}
		for i, l := range []login{one, two} {
			if errs[i] != nil && !isRefusal(errs[i]) {
				c.errorf("the loser's error %v is not a refusal", errs[i])
			}
			req, err := c.getRefresh(l)
			if errs[i] == nil {
				c.wantAccepted("the winner's token", req, err)
			} else {
				c.wantRefused("the loser's token", req, err)
			}
		}
	}},
	{"with a revocation ends the session when it is committed", func(c *check) {
		l := c.login("alice")
		ctx, t := c.beginTx()
		c.must(c.Storage.DeleteRefreshTokenSession(ctx, l.refresh), "DeleteRefreshTokenSession")
		c.must(c.Storage.RevokeRefreshToken(ctx, l.req.GetID()), "RevokeRefreshToken")
		c.must(c.Storage.RevokeAccessToken(ctx, l.req.GetID()), "RevokeAccessToken")
		c.must(t.Commit(ctx), "Commit")
		req, err := c.getRefresh(l)
		c.wantRefused("the refresh token", req, err)
		req, err = c.getAccess(l)
		c.wantRefused("the access token", req, err)
	}},
	{"of two sessions loses none", func(c *check) {
		for _, other := range []string{"alice", "bob"} {
			ctx, t := c.beginTx()
			logins := []login{c.newLogin("alice"), c.newLogin(other)}
			var err error
			for _, l := range logins {
				if err == nil {
					err = c.create(ctx, l)
				}
			}
			if err == nil {
				err = t.Commit(ctx)
			} else {
				c.must(t.Rollback(ctx), "Rollback")
			}
			for _, l := range logins {
				req, found := c.getRefresh(l)
				if err == nil {
					c.wantAccepted("a refresh token of a transaction that was committed", req, found)
				} else {
					c.wantRefused("a refresh token of a transaction that failed", req, found)
				}
			}
		}
	}},
	{"can be empty", func(c *check) {
		ctx, t := c.beginTx()
		c.must(t.Commit(ctx), "Commit")
		ctx, t = c.beginTx()
		c.must(t.Rollback(ctx), "Rollback")
	}},
}
