package storagetest

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"
)

// requests are the methods by which a store keeps the authorization requests of one kind, under a code or its signature.
type requests struct {
	create func(ctx context.Context, key string, req fosite.Requester) error
	get    func(ctx context.Context, key string, s fosite.Session) (fosite.Requester, error)
	remove func(ctx context.Context, key string) error // nil for authorization codes
}

// stored is a request of which the store knows the key.
type stored struct {
	req *fosite.Request
	key string
}

const (
	redirectURI   = "https://app.example/callback?tenant=%C3%A6&x=1"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// codeRequest is what fosite passes to a store with an authorization code that expires after ttl.
func (c *check) codeRequest(subject string, ttl time.Duration) *fosite.Request {
	req := c.requestBy(subject)
	req.Form = url.Values{
		"response_type": {"code"}, "scope": {"read write"}, "client_id": {clientID}, "redirect_uri": {redirectURI},
		"code_challenge": {codeChallenge}, "code_challenge_method": {"S256"}, "nonce": {"ü \x00\n&="},
	}
	req.Session.SetExpiresAt(fosite.AuthorizeCode, time.Now().UTC().Add(ttl))
	return req
}

// store keeps a new request of the subject for ttl.
func (r requests) store(c *check, subject string, ttl time.Duration) stored {
	req := c.codeRequest(subject, ttl)
	s := stored{req: req, key: c.Signature(req.ID)}
	c.must(r.create(c.ctx, s.key, req), "store a request")
	return s
}

func (r requests) find(c *check, s stored) (fosite.Requester, error) {
	return r.get(c.ctx, s.key, c.NewSession())
}

// requestCases are the tests of one kind of requests. open returns the store's methods, or skips the test.
func requestCases(open func(*check) requests) []testCase {
	return []testCase{
		{"what was stored comes back", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			got, err := r.find(c, s)
			c.must(err, "get")
			c.wantSame(got, s.req)
			c.wantSameForm(got, s.req)
		}},
		{"a nil session is allowed", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			got, err := r.get(c.ctx, s.key, nil)
			c.must(err, "get with a nil session")
			if got == nil || got.GetID() != s.req.ID || got.GetClient().GetID() != clientID {
				c.errorf("request %v, want ID and client of what was stored", got)
			}
		}},
		{"what is returned is a copy", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			want := copyOf(s.req)
			got, err := r.find(c, s)
			c.must(err, "get")
			mutate(got)
			again, err := r.find(c, s)
			c.must(err, "get again")
			c.wantSame(again, want)
			c.wantSameForm(again, want)
		}},
		{"what is stored is a copy", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			want := copyOf(s.req)
			mutate(s.req)
			got, err := r.find(c, s)
			c.must(err, "get")
			c.wantSame(got, want)
			c.wantSameForm(got, want)
		}},
		{"an unknown one is not found", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			for _, key := range append(malformedSignatures(), c.Signature(s.req.ID), s.key+"x", s.key[:len(s.key)-1]) {
				if req, err := r.get(c.ctx, key, c.NewSession()); !errors.Is(err, fosite.ErrNotFound) {
					c.errorf("%.60q: request %v, error %v; want ErrNotFound", key, req, err)
				}
			}
		}},
		{"keys of any shape are kept apart", func(c *check) {
			r := open(c)
			long := strings.Repeat("aB3-", 170)
			ids := map[string]string{} // :: key → request ID
			for _, key := range []string{long + "x", long + "y", "a:b", "a{b}", "a*", "a.b", "a b", "ü\x00\n", strings.ToUpper(long + "x")} {
				req := c.codeRequest("alice", time.Hour)
				ids[key] = req.ID
				c.must(r.create(c.ctx, key, req), "store a request")
			}
			for key, id := range ids {
				got, err := r.get(c.ctx, key, c.NewSession())
				if err != nil {
					c.errorf("%.20q: %v", key, err)
				} else if got.GetID() != id {
					c.errorf("%.20q leads to another request", key)
				}
			}
		}},
	}
}

// removeCases test the removal of requests. Authorization codes are not removed but invalidated.
func removeCases(open func(*check) requests) []testCase {
	return []testCase{
		{"a removed one is not found, and others stay", func(c *check) {
			r := open(c)
			s, other := r.store(c, "alice", time.Hour), r.store(c, "alice", time.Hour)
			c.must(r.remove(c.ctx, s.key), "remove")
			if req, err := r.find(c, s); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("after its removal: request %v, error %v; want ErrNotFound", req, err)
			}
			req, err := r.find(c, other)
			c.wantAccepted("another request", req, err)
		}},
		{"removing an unknown one is not an error", func(c *check) {
			r := open(c)
			s := r.store(c, "alice", time.Hour)
			for _, key := range []string{s.key, s.key, "never-seen"} {
				c.must(r.remove(c.ctx, key), "remove")
			}
		}},
	}
}

// sessionCases test the session that the caller passes.
func sessionCases(open func(*check) requests) []testCase {
	return []testCase{
		{"the session given is filled and becomes the request's", func(c *check) {
			r := open(c)
			s, into := r.store(c, "alice", time.Hour), c.NewSession()
			got, err := r.get(c.ctx, s.key, into)
			c.must(err, "get")
			if into.GetSubject() != "alice" || got.GetSession() != into {
				c.errorf("the session given: subject %q; is the request's: %t", into.GetSubject(), got.GetSession() == into)
			}
		}},
	}
}
