package storagetest

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
)

func (c *check) wantInvalidGrant(what string, err error) {
	if !errors.Is(err, fosite.ErrInvalidGrant) {
		c.errorf("%s: %v, want invalid_grant", what, err)
	}
}

var codeHandlerCases = []testCase{
	{"redeems a code", func(c *check) {
		s := c.newCodeServer()
		resp, err := s.token(c, c.NewSession(), s.authorize(c, c.NewSession(), "read"))
		c.must(err, "redeem a code")
		l := s.issued(c, resp)
		got, err := c.getAccess(l)
		c.must(err, "GetAccessTokenSession")
		if got.GetSession().GetSubject() != "alice" || !got.GetGrantedScopes().Has("read") {
			c.errorf("subject %q, scopes %v", got.GetSession().GetSubject(), got.GetGrantedScopes())
		}
		req, err := c.getRefresh(l)
		c.wantAccepted("the refresh token", req, err)
	}},
	{"gives its tokens their own expiry", func(c *check) {
		// fosite passes one session to the store for the code, for the challenge and for the code again, and sets the expiry of
		// the tokens in between.
		s := c.newCodeServer()
		resp, err := s.token(c, c.NewSession(), s.authorize(c, c.NewSession(), "read"))
		c.must(err, "redeem a code")
		got, err := c.getRefresh(s.issued(c, resp))
		c.must(err, "GetRefreshTokenSession")
		for kind, ttl := range map[fosite.TokenType]time.Duration{fosite.AccessToken: time.Hour, fosite.RefreshToken: 24 * time.Hour} {
			if at := got.GetSession().GetExpiresAt(kind); time.Until(at.Add(-ttl)).Abs() > time.Minute {
				c.errorf("%s expires at %v, want in %v", kind, at, ttl)
			}
		}
	}},
	{"detects the second redemption and ends the session", func(c *check) {
		s := c.newCodeServer()
		code := s.authorize(c, c.NewSession(), "read")
		resp, err := s.token(c, c.NewSession(), code)
		c.must(err, "redeem a code")
		for _, what := range []string{"the second redemption", "the third"} {
			_, err = s.token(c, c.NewSession(), code)
			c.wantInvalidGrant(what, err)
			c.wantNoAccess("after "+what, s.issued(c, resp))
			c.wantNoRefresh("after "+what, s.issued(c, resp))
		}
	}},
	{"issues nothing for a wrong verifier, redirect URI or code", func(c *check) {
		s := c.newCodeServer()
		other := s.authorize(c, c.NewSession(), "read")
		for _, wrong := range []string{strings.Repeat("x", 43), ""} {
			code := s.authorize(c, c.NewSession(), "read")
			if _, err := s.token(c, c.NewSession(), code, "code_verifier", wrong); err == nil {
				c.errorf("the verifier %q is accepted", wrong)
			}
		}
		_, err := s.token(c, c.NewSession(), s.authorize(c, c.NewSession(), "read"), "redirect_uri", "https://other.example/")
		c.wantInvalidGrant("another redirect URI", err)
		for _, junk := range []string{"", "junk", "ory_ac_a.b", other + "x"} {
			_, err := s.token(c, c.NewSession(), junk)
			c.wantInvalidGrant("an unknown code", err)
		}
		_, err = s.token(c, c.NewSession(), other)
		c.must(err, "redeem a good code after all that")
	}},
	{"issues an ID token once", func(c *check) {
		s := c.newCodeServer()
		_, hasOpenID := c.Storage.(openid.OpenIDConnectRequestStorage)
		if _, ok := c.NewSession().(*Session); !ok || !hasOpenID {
			c.skip("the store has no OpenID Connect requests, or has a session type of its own")
		}
		session := openid.NewDefaultSession()
		session.Claims.Subject = "alice"
		code := s.authorize(c, session, "read", "openid")
		resp, err := s.token(c, openid.NewDefaultSession(), code)
		c.must(err, "redeem a code")
		idToken, _ := resp.GetExtra("id_token").(string)
		claims := c.claimsOf(idToken)
		if claims["sub"] != "alice" || claims["nonce"] != "a-nonce-of-the-client" {
			c.errorf("claims of the ID token: %v", claims)
		}
		if req, err := c.openIDRequests().get(c.ctx, code, nil); !errors.Is(err, fosite.ErrNotFound) {
			c.errorf("the OpenID Connect request after that: %v, error %v; want ErrNotFound", req, err)
		}
	}},
	{"answers one of concurrent redemptions", func(c *check) {
		s := c.newCodeServer()
		c.transactional()
		for range 5 {
			code := s.authorize(c, c.NewSession(), "read")
			var mu sync.Mutex
			answered := 0
			parallel(16, func(int) {
				_, err := s.token(c, c.NewSession(), code)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered++
				}
			})
			if answered != 1 {
				c.errorf("16 callers redeemed one code and %d were answered with tokens, want one", answered)
			}
		}
	}},
}
