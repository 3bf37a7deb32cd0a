package storagetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
)

// openIDRequests returns the store's OpenID Connect requests, or skips the test. Their key is the whole code, not its signature.
func (c *check) openIDRequests() requests {
	s, ok := c.Storage.(openid.OpenIDConnectRequestStorage)
	if !ok {
		c.skip("the store has no OpenID Connect requests")
	}
	return requests{
		create: s.CreateOpenIDConnectSession,
		get: func(ctx context.Context, code string, into fosite.Session) (fosite.Requester, error) {
			// fosite passes the access request, whose session the store fills. All else of it must not come back.
			caller := &fosite.AccessRequest{Request: fosite.Request{
				ID: "the ID of the caller's request", Client: &fosite.DefaultClient{ID: "another-client"}, Session: into,
				GrantedScope: fosite.Arguments{"the caller's"}, Form: map[string][]string{"code": {code}},
			}}
			return s.GetOpenIDConnectSession(ctx, code, caller)
		},
		remove: s.DeleteOpenIDConnectSession,
	}
}

var openIDCases = slices.Concat(
	requestCases((*check).openIDRequests), requestTransactionCases((*check).openIDRequests),
	removeCases((*check).openIDRequests), removeTransactionCases((*check).openIDRequests), openIDOnlyCases,
)

var openIDOnlyCases = []testCase{
	{"the request has a session of the caller's type", func(c *check) {
		// It may be the caller's own. fosite makes the ID token of the session that is returned.
		r := c.openIDRequests()
		s, into := r.store(c, "alice", time.Hour), c.NewSession()
		got, err := r.get(c.ctx, s.key, into)
		c.must(err, "GetOpenIDConnectSession")
		if g, w := fmt.Sprintf("%T", got.GetSession()), fmt.Sprintf("%T", into); g != w || got.GetSession().GetSubject() != "alice" {
			c.errorf("session %s of %q, want %s of alice", g, got.GetSession().GetSubject(), w)
		}
	}},
	{"a code and a PKCE request of the same key are kept apart", func(c *check) {
		r, code, challenges := c.openIDRequests(), c.newCode(10*time.Minute), c.pkceRequests()
		c.must(challenges.create(c.ctx, code.key, code.req), "CreatePKCERequestSession")
		other := stored{req: c.codeRequest("alice", 10*time.Minute), key: code.key}
		other.req.Form.Set("nonce", "another")
		c.must(r.create(c.ctx, other.key, other.req), "CreateOpenIDConnectSession")
		for _, kept := range []struct {
			requests
			want *fosite.Request
		}{{c.codes(), code.req}, {challenges, code.req}, {r, other.req}} {
			got, err := kept.find(c, code)
			c.must(err, "get")
			c.wantSameForm(got, kept.want)
		}
		c.must(r.remove(c.ctx, other.key), "DeleteOpenIDConnectSession")
		c.wantOpen("the code after its OpenID Connect request is removed", code)
	}},
	{"the code does not name its record", func(c *check) {
		// fosite passes the code itself. Whoever can read the database could redeem it.
		r := c.openIDRequests()
		if c.Leftovers == nil {
			c.skip("the fixture cannot list what is stored")
		}
		req := c.codeRequest("alice", 10*time.Minute)
		secret := c.Signature(req.ID)
		code := "ory_ac_" + secret + "." + c.Signature(req.ID)
		c.must(r.create(c.ctx, code, req), "CreateOpenIDConnectSession")
		records, err := c.Leftovers()
		c.must(err, "Leftovers")
		for _, record := range records {
			if strings.Contains(record, secret) {
				c.errorf("the record %q holds the code", record)
			}
		}
	}},
}
