package storagetest

import (
	"slices"
	"time"

	"github.com/ory/fosite/handler/pkce"
)

// pkceRequests returns the store's PKCE requests, or skips the test.
func (c *check) pkceRequests() requests {
	s, ok := c.Storage.(pkce.PKCERequestStorage)
	if !ok {
		c.skip("the store has no PKCE requests")
	}
	return requests{s.CreatePKCERequestSession, s.GetPKCERequestSession, s.DeletePKCERequestSession}
}

var pkceCases = slices.Concat(
	requestCases((*check).pkceRequests), sessionCases((*check).pkceRequests), requestTransactionCases((*check).pkceRequests),
	removeCases((*check).pkceRequests), removeTransactionCases((*check).pkceRequests), challengeCases,
)

var challengeCases = []testCase{
	{"the code of the same signature is kept apart", func(c *check) {
		r, code := c.pkceRequests(), c.newCode(10*time.Minute)
		// As fosite does, which keeps other parameters with the code and with the challenge.
		challenge := stored{req: c.codeRequest("alice", 10*time.Minute), key: code.key}
		challenge.req.ID = code.req.ID
		challenge.req.Form.Del("redirect_uri")
		c.must(r.create(c.ctx, challenge.key, challenge.req), "CreatePKCERequestSession")
		got, err := c.codes().find(c, code)
		c.must(err, "GetAuthorizeCodeSession")
		c.wantSameForm(got, code.req)
		got, err = r.find(c, challenge)
		c.must(err, "GetPKCERequestSession")
		c.wantSameForm(got, challenge.req)
		c.must(r.remove(c.ctx, challenge.key), "DeletePKCERequestSession")
		c.wantOpen("the code after its PKCE request is removed", code)
	}},
}
