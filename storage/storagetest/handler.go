package storagetest

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/token/hmac"
)

// fositeHandler is fosite's refresh handler with HMAC tokens, as compose.ComposeAllEnabled makes it.
type fositeHandler struct {
	handler  *oauth2.RefreshTokenGrantHandler
	strategy *oauth2.HMACSHAStrategy
}

func (c *check) newFositeHandler() fositeHandler {
	config := &fosite.Config{
		GlobalSecret: random(32), AccessTokenLifespan: time.Hour, RefreshTokenLifespan: 24 * time.Hour,
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
		RefreshTokenScopes: []string{},
	}
	strategy := oauth2.NewHMACSHAStrategy(&hmac.HMACStrategy{Config: config}, config)
	return fositeHandler{strategy: strategy, handler: &oauth2.RefreshTokenGrantHandler{
		AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, TokenRevocationStorage: c.Storage, Config: config,
	}}
}

// login stores tokens of the HMAC strategy and returns the refresh token itself.
func (s fositeHandler) login(c *check) (refresh string, l login) {
	req := c.request("alice", time.Hour, 24*time.Hour)
	_, access, err := s.strategy.GenerateAccessToken(c.ctx, req)
	c.must(err, "generate")
	refresh, signature, err := s.strategy.GenerateRefreshToken(c.ctx, req)
	c.must(err, "generate")
	l = login{req: req, access: access, refresh: signature}
	c.must(c.create(c.ctx, l), "store a login")
	return refresh, l
}

func (s fositeHandler) refresh(ctx context.Context, c *check, token string) (*fosite.AccessResponse, error) {
	req := fosite.NewAccessRequest(c.NewSession())
	req.GrantTypes, req.Client = fosite.Arguments{"refresh_token"}, c.client
	req.Form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if err := s.handler.HandleTokenEndpointRequest(ctx, req); err != nil {
		return nil, err
	}
	resp := fosite.NewAccessResponse()
	return resp, s.handler.PopulateTokenEndpointResponse(ctx, req, resp)
}

var handlerCases = []testCase{
	{"refreshes repeatedly", func(c *check) {
		s := c.newFositeHandler()
		token, _ := s.login(c)
		for range 3 {
			resp, err := s.refresh(c.ctx, c, token)
			c.must(err, "refresh")
			token, _ = resp.GetExtra("refresh_token").(string)
			access := s.strategy.AccessTokenSignature(c.ctx, resp.GetAccessToken())
			got, err := c.Storage.GetAccessTokenSession(c.ctx, access, c.NewSession())
			c.must(err, "the access token just issued")
			if got.GetSession().GetSubject() != "alice" {
				c.errorf("subject %q after a refresh", got.GetSession().GetSubject())
			}
		}
	}},
	{"detects reuse and ends the session", func(c *check) {
		s := c.newFositeHandler()
		first, _ := s.login(c)
		resp, err := s.refresh(c.ctx, c, first)
		c.must(err, "refresh")
		c.passGrace()
		if _, err := s.refresh(c.ctx, c, first); !errors.Is(err, fosite.ErrInvalidGrant) {
			c.errorf("replay: %v, want invalid_grant", err)
		}
		second, _ := resp.GetExtra("refresh_token").(string)
		if _, err := s.refresh(c.ctx, c, second); !errors.Is(err, fosite.ErrInvalidGrant) {
			c.errorf("the successor after a replay: %v, want invalid_grant", err)
		}
		access := s.strategy.AccessTokenSignature(c.ctx, resp.GetAccessToken())
		req, err := c.Storage.GetAccessTokenSession(c.ctx, access, c.NewSession())
		c.wantRefused("the access token after a replay", req, err)
		if _, err := s.refresh(c.ctx, c, first); !errors.Is(err, fosite.ErrInvalidGrant) {
			c.errorf("a second replay: %v, want invalid_grant", err)
		}
	}},
	{"refuses unknown tokens and leaves sessions alone", func(c *check) {
		s := c.newFositeHandler()
		good, _ := s.login(c)
		for _, junk := range []string{"", "junk", "junk.junk", "ory_rt_a.b", good + "x"} {
			if _, err := s.refresh(c.ctx, c, junk); err == nil {
				c.errorf("token %q is accepted", junk)
			}
		}
		_, err := s.refresh(c.ctx, c, good)
		c.must(err, "refresh with the good token")
	}},
}
