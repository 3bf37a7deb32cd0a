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
	config := &fosite.Config{ // #nosec G101 -- no secret, but settings and a random one
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
