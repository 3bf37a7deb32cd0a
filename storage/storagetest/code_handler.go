package storagetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"
)

// codeServer is fosite's authorization code grant with PKCE, and with OpenID Connect if the store has it, as
// compose.ComposeAllEnabled makes it.
type codeServer struct {
	*fosite.Fosite
	config   *fosite.Config
	strategy *oauth2.HMACSHAStrategy
	client   fosite.Client
}

func (c *check) newCodeServer() codeServer {
	core, ok := c.Storage.(oauth2.CoreStorage)
	_, hasPKCE := c.Storage.(pkce.PKCERequestStorage)
	if !ok || !hasPKCE {
		c.skip("the store has no authorization codes, or no PKCE requests")
	}
	config := &fosite.Config{
		GlobalSecret: random(32), AccessTokenLifespan: time.Hour, RefreshTokenLifespan: 24 * time.Hour, IDTokenLifespan: time.Hour,
		AuthorizeCodeLifespan: 10 * time.Minute, IDTokenIssuer: "https://as.example", EnforcePKCE: true,
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
		RefreshTokenScopes: []string{},
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.must(err, "GenerateKey")
	key := func(context.Context) (any, error) { return private, nil }
	strategy := compose.NewOAuth2HMACStrategy(config)
	all := &compose.CommonStrategy{
		CoreStrategy: strategy, OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(key, config),
		Signer: &jwt.DefaultSigner{GetPrivateKey: key},
	}
	factories := []compose.Factory{compose.OAuth2AuthorizeExplicitFactory}
	if _, ok := core.(openid.OpenIDConnectRequestStorage); ok {
		factories = append(factories, compose.OpenIDConnectExplicitFactory)
	}
	for _, factory := range append(factories, compose.OAuth2PKCEFactory) {
		handler := factory(config, c.Storage, all)
		if h, ok := handler.(fosite.AuthorizeEndpointHandler); ok {
			config.AuthorizeEndpointHandlers.Append(h)
		}
		if h, ok := handler.(fosite.TokenEndpointHandler); ok {
			config.TokenEndpointHandlers.Append(h)
		}
	}
	return codeServer{
		Fosite: &fosite.Fosite{Config: config}, config: config, strategy: strategy,
		// The store's own client may have no redirect URIs: these handlers do not ask it for them.
		client: &fosite.DefaultClient{
			ID: clientID, Public: true, Scopes: []string{"read", "write", "openid"}, Audience: []string{"https://api.example"},
			GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, RedirectURIs: []string{redirectURI},
		},
	}
}

// authorize returns a code for alice.
func (s codeServer) authorize(c *check, session fosite.Session, scopes ...string) string {
	redirect, err := url.Parse(redirectURI)
	c.must(err, "parse the redirect URI")
	req := fosite.NewAuthorizeRequest()
	req.ID, req.Client, req.ResponseTypes, req.RedirectURI = c.RequestID("alice"), s.client, fosite.Arguments{"code"}, redirect
	req.State, req.RequestedScope, req.GrantedScope = "a-state-of-the-client", scopes, scopes
	req.Form = url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "scope": {strings.Join(scopes, " ")},
		"state": {req.State}, "nonce": {"a-nonce-of-the-client"}, "code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
	}
	if n, ok := session.(interface{ SetSubject(string) }); ok {
		n.SetSubject("alice")
	}
	resp, err := s.NewAuthorizeResponse(c.ctx, req, session)
	c.must(err, "NewAuthorizeResponse")
	return resp.GetCode()
}

// token makes a token request with the changes given, as alternating names and values.
func (s codeServer) token(c *check, session fosite.Session, code string, changes ...string) (fosite.AccessResponder, error) {
	req := fosite.NewAccessRequest(session)
	req.GrantTypes, req.Client = fosite.Arguments{"authorization_code"}, s.client
	req.Form = url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {codeVerifier},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		req.Form.Set(changes[i], changes[i+1])
	}
	handled := false
	for _, h := range s.config.TokenEndpointHandlers {
		if err := h.HandleTokenEndpointRequest(c.ctx, req); err == nil {
			handled = true
		} else if !errors.Is(err, fosite.ErrUnknownRequest) {
			return nil, err
		}
	}
	if !handled {
		return nil, fosite.ErrInvalidRequest
	}
	return s.NewAccessResponse(c.ctx, req)
}

// issued returns the tokens of an answer as the store names them.
func (s codeServer) issued(c *check, resp fosite.AccessResponder) login {
	refresh, _ := resp.GetExtra("refresh_token").(string)
	return login{
		access:  s.strategy.AccessTokenSignature(c.ctx, resp.GetAccessToken()),
		refresh: s.strategy.RefreshTokenSignature(c.ctx, refresh),
	}
}

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

// claimsOf decodes a JWT without looking at its signature.
func (c *check) claimsOf(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		c.fatalf("%q is not a JWT", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	c.must(err, "decode the ID token")
	var claims map[string]any
	c.must(json.Unmarshal(payload, &claims), "decode the ID token")
	return claims
}
