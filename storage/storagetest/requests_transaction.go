package storagetest

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"
)

// requestTransactionCases are the tests of one kind of requests for stores with transactions. fosite opens none for them, but a
// server may, so that a code, its challenge and its OpenID Connect request are stored together.
func requestTransactionCases(open func(*check) requests) []testCase {
	return []testCase{
		{"what a transaction creates is there after the commit", func(c *check) {
			r, t := open(c), c.transactional()
			ctx, s := r.storeIn(c, t)
			c.must(t.Commit(ctx), "Commit")
			got, err := r.find(c, s)
			c.must(err, "get after the commit")
			c.wantSame(got, s.req)
		}},
		{"what a transaction creates is not there after the rollback", func(c *check) {
			r, t := open(c), c.transactional()
			ctx, s := r.storeIn(c, t)
			c.must(t.Rollback(ctx), "Rollback")
			r.wantUnknown(c, "after the rollback", s)
		}},
	}
}

// storeIn begins a transaction and stores a request in it.
func (r requests) storeIn(c *check, t storage.Transactional) (context.Context, stored) {
	ctx, err := t.BeginTX(c.ctx)
	c.must(err, "BeginTX")
	s := stored{req: c.codeRequest("alice", time.Hour)}
	s.key = c.Signature(s.req.ID)
	c.must(r.create(ctx, s.key, s.req), "store a request")
	r.wantUnknown(c, "before the end of the transaction", s)
	return ctx, s
}

// removeTransactionCases test the removal of requests in a transaction.
func removeTransactionCases(open func(*check) requests) []testCase {
	return []testCase{
		{"a removal that is rolled back removes nothing", func(c *check) {
			r, s := open(c), open(c).store(c, "alice", time.Hour)
			c.removeIn(r, s, func(t context.Context) error { return c.transactional().Rollback(t) })
			req, err := r.find(c, s)
			c.wantAccepted("the request after the rollback", req, err)
		}},
		{"a removal that is committed removes the request", func(c *check) {
			r, s := open(c), open(c).store(c, "alice", time.Hour)
			c.removeIn(r, s, func(t context.Context) error { return c.transactional().Commit(t) })
			r.wantUnknown(c, "after the commit", s)
		}},
	}
}

func (c *check) removeIn(r requests, s stored, end func(context.Context) error) {
	ctx, _ := c.beginTx()
	c.must(r.remove(ctx, s.key), "remove")
	c.must(end(ctx), "end the transaction")
}

func (r requests) wantUnknown(c *check, when string, s stored) {
	if req, err := r.find(c, s); !errors.Is(err, fosite.ErrNotFound) {
		c.errorf("%s: request %v, error %v; want ErrNotFound", when, req, err)
	}
}
