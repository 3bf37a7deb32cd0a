package storagetest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
)

// parStorage returns the store's pushed authorization requests, or skips the test.
func (c *check) parStorage() fosite.PARStorage {
	s, ok := c.Storage.(fosite.PARStorage)
	if !ok {
		c.skip("the store has no pushed authorization requests")
	}
	return s
}

const (
	parURI         = "urn:ietf:params:oauth:request_uri:"
	parSecret      = "a-secret-of-the-client"
	parAssertion   = "an.assertion.of-the-client"
	assertionsOnly = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// pushed is a pushed authorization request as fosite passes it: with the whole form, credentials of the client included, and
// without a session.
func (c *check) pushed() *fosite.AuthorizeRequest {
	redirect, err := url.Parse(redirectURI)
	c.must(err, "parse the redirect URI")
	return &fosite.AuthorizeRequest{
		ResponseTypes: fosite.Arguments{"code", "id_token"}, RedirectURI: redirect, State: "a state ü&=\x00",
		ResponseMode: fosite.ResponseModeFormPost, DefaultResponseMode: fosite.ResponseModeFragment,
		Request: fosite.Request{
			ID: c.RequestID("alice"), RequestedAt: time.Now().UTC().Round(time.Second), Client: c.client,
			RequestedScope: fosite.Arguments{"read", "write"}, RequestedAudience: fosite.Arguments{"https://api.example"},
			Form: url.Values{
				"response_type": {"code id_token"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "scope": {"read write"},
				"state": {"a state ü&=\x00"}, "response_mode": {"form_post"}, "nonce": {"a nonce"}, "prompt": {"login"},
				"code_challenge": {codeChallenge}, "code_challenge_method": {"S256"}, "audience": {"https://api.example"},
				"claims": {`{"id_token":{"acr":{"essential":true}}}`}, "resource": {"https://one.example", "https://two.example"},
				"client_secret": {parSecret}, "client_assertion": {parAssertion}, "client_assertion_type": {assertionsOnly},
			},
		},
	}
}

// push stores a pushed request, with a session if it is to expire.
func (c *check) push(ttl time.Duration) (uri string, req *fosite.AuthorizeRequest) {
	s := c.parStorage()
	uri, req = c.newRequestURI(), c.pushed()
	if ttl > 0 {
		req.Session = c.NewSession()
		req.Session.SetExpiresAt(fosite.PushedAuthorizeRequestContext, time.Now().UTC().Add(ttl))
	}
	c.must(s.CreatePARSession(c.ctx, uri, req), "CreatePARSession")
	return uri, req
}

func (c *check) newRequestURI() string { return fmt.Sprintf("%s%x", parURI, random(32)) }

// wantSamePushed compares everything that fosite reads of a pushed request.
func (c *check) wantSamePushed(got, want fosite.AuthorizeRequester) {
	same := c.wantSameRequest(got, want)
	same("response types", sorted(got.GetResponseTypes()), sorted(want.GetResponseTypes()))
	same("redirect URI", got.GetRedirectURI(), want.GetRedirectURI())
	same("state", got.GetState(), want.GetState())
	same("response mode", got.GetResponseMode(), want.GetResponseMode())
	for key, values := range want.GetRequestForm() {
		if !strings.HasPrefix(key, "client_") || key == "client_id" {
			same("form parameter "+key, got.GetRequestForm()[key], values)
		}
	}
}

func (c *check) wantNoPushed(what, uri string) {
	if req, err := c.parStorage().GetPARSession(c.ctx, uri); !errors.Is(err, fosite.ErrNotFound) {
		c.errorf("%s: request %v, error %v; want ErrNotFound", what, req, err)
	}
}

var parCases = []testCase{
	{"what was stored comes back", func(c *check) {
		uri, req := c.push(0)
		for range 2 { // it is not removed by a look
			got, err := c.parStorage().GetPARSession(c.ctx, uri)
			c.must(err, "GetPARSession")
			c.wantSamePushed(got, req)
		}
	}},
	{"one with a session comes back", func(c *check) {
		uri, req := c.push(time.Hour)
		got, err := c.parStorage().GetPARSession(c.ctx, uri)
		c.must(err, "GetPARSession")
		c.wantSamePushed(got, req)
	}},
	{"the client's credentials are not kept", func(c *check) {
		uri, _ := c.push(0)
		got, err := c.parStorage().GetPARSession(c.ctx, uri)
		c.must(err, "GetPARSession")
		for key, values := range got.GetRequestForm() {
			if slices.Contains(values, parSecret) || slices.Contains(values, parAssertion) {
				c.errorf("the form that comes back has the %s", key)
			}
		}
		if c.Leftovers == nil {
			return
		}
		records, err := c.Leftovers()
		c.must(err, "Leftovers")
		for _, record := range records {
			if strings.Contains(record, parSecret) || strings.Contains(record, parAssertion) {
				c.errorf("a record holds a credential: %.200q", record)
			}
		}
	}},
	{"the caller's request is not changed", func(c *check) {
		_, req := c.push(0)
		c.wantSamePushed(req, c.withID(c.pushed(), req))
		if req.Form.Get("client_secret") != parSecret || req.Form.Get("client_assertion") != parAssertion {
			c.errorf("the client's credentials were removed from the caller's form: %v", req.Form)
		}
	}},
	{"what is stored and what is returned are copies", func(c *check) {
		uri, req := c.push(0)
		want := c.withID(c.pushed(), req)
		change := func(r fosite.AuthorizeRequester) {
			r.SetRequestedScopes(fosite.Arguments{"changed"})
			r.GetRequestForm().Set("scope", "changed")
			r.GetRedirectURI().Host = "changed.example"
		}
		change(req)
		got, err := c.parStorage().GetPARSession(c.ctx, uri)
		c.must(err, "GetPARSession")
		c.wantSamePushed(got, want)
		change(got)
		got, err = c.parStorage().GetPARSession(c.ctx, uri)
		c.must(err, "GetPARSession again")
		c.wantSamePushed(got, want)
	}},
	{"an unknown one is not found", func(c *check) {
		uri, _ := c.push(0)
		for _, unknown := range append(malformedSignatures(), c.newRequestURI(), uri+"x", uri[:len(uri)-1], strings.ToUpper(uri), strings.TrimPrefix(uri, parURI)) {
			c.wantNoPushed(fmt.Sprintf("%.60q", unknown), unknown)
		}
	}},
	{"a removed one is not found, and others stay", func(c *check) {
		uri, _ := c.push(0)
		other, req := c.push(0)
		c.must(c.parStorage().DeletePARSession(c.ctx, uri), "DeletePARSession")
		c.wantNoPushed("after its removal", uri)
		got, err := c.parStorage().GetPARSession(c.ctx, other)
		c.must(err, "GetPARSession of another")
		c.wantSamePushed(got, req)
	}},
	{"removing an unknown one is not an error", func(c *check) {
		uri, _ := c.push(0)
		for _, u := range []string{uri, uri, c.newRequestURI(), "never-seen"} {
			c.must(c.parStorage().DeletePARSession(c.ctx, u), "DeletePARSession")
		}
	}},
	{"fosite continues it once", func(c *check) {
		clients := c.clientManager()
		uri, want := c.push(0)
		provider := &fosite.Fosite{Config: &fosite.Config{}, Store: struct {
			fosite.ClientManager
			fosite.PARStorage
		}{clients, c.parStorage()}}
		query := url.Values{"request_uri": {uri}, "client_id": {clientID}}.Encode()
		for i := range 2 {
			r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, "https://as.example/authorize?"+query, http.NoBody)
			c.must(err, "NewRequest")
			got, err := provider.NewAuthorizeRequest(c.ctx, r)
			if i > 0 {
				if !errors.Is(err, fosite.ErrInvalidRequestURI) {
					c.errorf("a second time: %v, want invalid_request_uri", err)
				}
				return
			}
			c.must(err, "NewAuthorizeRequest")
			c.wantSamePushed(got, want)
		}
	}},
}

// withID gives a request the ID and the time of another.
func (c *check) withID(req, of *fosite.AuthorizeRequest) *fosite.AuthorizeRequest {
	req.ID, req.RequestedAt = of.ID, of.RequestedAt
	return req
}
