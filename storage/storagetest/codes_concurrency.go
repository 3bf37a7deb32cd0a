package storagetest

import (
	"context"
	"sync"
	"time"

	"github.com/ory/fosite/storage"
)

// issueAccess redeems a code as fosite does for a client without refresh tokens.
func (c *check) issueAccess(l login, code stored) error {
	ctx, err := storage.MaybeBeginTx(c.ctx, c.Storage)
	if err != nil {
		return err
	}
	err = c.codeStorage().InvalidateAuthorizeCodeSession(ctx, code.key)
	if err == nil {
		err = c.Storage.CreateAccessTokenSession(ctx, l.access, l.req)
	}
	if err == nil {
		err = storage.MaybeCommitTx(ctx, c.Storage)
	}
	if err != nil {
		_ = storage.MaybeRollbackTx(ctx, c.Storage)
	}
	return err
}

// redeemAtOnce lets n callers redeem one code. It returns the tokens of the winners and of the losers.
func (c *check) redeemAtOnce(n int, code stored) (winners, losers []login) {
	var mu sync.Mutex
	parallel(n, func(int) {
		next, err := c.redeem(code)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			winners = append(winners, next)
			return
		}
		losers = append(losers, next)
		c.wantRefusal("a loser's redemption", err)
	})
	return winners, losers
}

// stage begins a transaction that redeems the code. An error means that the store refused it before the commit.
func (c *check) stage(t storage.Transactional, code stored) (context.Context, login, error) {
	ctx, err := t.BeginTX(c.ctx)
	c.must(err, "BeginTX")
	next := c.successor(code.req)
	if err = c.codeStorage().InvalidateAuthorizeCodeSession(ctx, code.key); err == nil {
		err = c.create(ctx, next)
	}
	return ctx, next, err
}

var codeConcurrencyCases = []testCase{
	{"of concurrent redemptions one wins", func(c *check) {
		for range 10 {
			code := c.newCode(10 * time.Minute)
			winners, losers := c.redeemAtOnce(16, code)
			if len(winners) != 1 {
				c.errorf("16 callers redeemed one code and %d succeeded, want one", len(winners))
			}
			for _, w := range winners {
				c.wantTokens("of the winner", w)
			}
			for _, l := range losers {
				c.wantNoRefresh("of a loser", l)
			}
			c.wantUsed("the code", code)
		}
	}},
	{"the losers of concurrent redemptions write no access token", func(c *check) {
		c.transactional()
		for range 10 {
			_, losers := c.redeemAtOnce(16, c.newCode(10*time.Minute))
			for _, l := range losers {
				c.wantNoAccess("of a loser", l)
			}
		}
	}},
	{"concurrent redemptions of different codes do not affect each other", func(c *check) {
		codes := make([]stored, 16)
		for i := range codes {
			codes[i] = c.newCode(10 * time.Minute)
		}
		logins := make([]login, len(codes))
		parallel(len(codes), func(i int) {
			var err error
			if logins[i], err = c.redeem(codes[i]); err != nil {
				c.errorf("redeem: %v", err)
			}
		})
		for i := range codes {
			c.wantTokens("of a redeemed code", logins[i])
			c.wantUsed("a redeemed code", codes[i])
		}
	}},
}

var codeTransactionCases = []testCase{
	{"a code is open until the transaction that redeems it is committed", func(c *check) {
		t, code := c.transactional(), c.newCode(10*time.Minute)
		ctx, next, err := c.stage(t, code)
		c.must(err, "redeem a code in a transaction")
		c.wantOpen("the code before the commit", code)
		c.wantNoRefresh("before the commit", next)
		c.must(t.Commit(ctx), "Commit")
		c.wantUsed("the code after the commit", code)
		c.wantTokens("after the commit", next)
	}},
	{"a redemption that is rolled back leaves the code open", func(c *check) {
		t, code := c.transactional(), c.newCode(10*time.Minute)
		ctx, next, err := c.stage(t, code)
		c.must(err, "redeem a code in a transaction")
		c.must(t.Rollback(ctx), "Rollback")
		c.wantNoRefresh("of a redemption that was rolled back", next)
		c.wantOpen("the code after the rollback", code)
		c.wantTokens("of the redemption after that", c.mustRedeem(code))
	}},
	{"of two that redeem one code only one commits", func(c *check) {
		t, code := c.transactional(), c.newCode(10*time.Minute)
		var ctxs [2]context.Context
		var logins [2]login
		var errs [2]error
		for i := range ctxs {
			ctxs[i], logins[i], errs[i] = c.stage(t, code)
		}
		for i := range ctxs {
			if errs[i] == nil {
				errs[i] = t.Commit(ctxs[i])
			} else {
				_ = t.Rollback(ctxs[i])
			}
		}
		if (errs[0] == nil) == (errs[1] == nil) {
			c.errorf("two transactions redeem one code: errors %v and %v, want one winner", errs[0], errs[1])
		}
		for i, l := range logins {
			if errs[i] == nil {
				c.wantTokens("of the winner", l)
				continue
			}
			c.wantRefusal("the loser", errs[i])
			c.wantNoRefresh("of the loser", l)
		}
	}},
	{"a commit after the code was invalidated writes nothing", func(c *check) {
		t, code := c.transactional(), c.newCode(10*time.Minute)
		ctx, next, err := c.stage(t, code)
		c.must(err, "redeem a code in a transaction")
		c.must(c.codeStorage().InvalidateAuthorizeCodeSession(c.ctx, code.key), "InvalidateAuthorizeCodeSession outside of it")
		c.wantRefusal("the commit", t.Commit(ctx))
		c.wantNoRefresh("of a transaction that lost its code", next)
	}},
}
