package authserver

import (
	"context"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// The grant types of the token endpoint.
const (
	grantPassword          = "password"
	grantRefresh           = "refresh_token"
	grantClientCredentials = "client_credentials"
	grantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// newProvider wires fosite's handlers as literals: what a handler lacks does not compile. Every field of fosite's config
// that its getters would fill on first use is set, because they do so without a lock.
func (s *Server) newProvider() *fosite.Fosite {
	config := &fosite.Config{
		AccessTokenLifespan:      time.Hour, // our handlers set each token's own
		RefreshTokenLifespan:     -1,        // likewise: fosite leaves it alone
		ScopeStrategy:            fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
		RefreshTokenScopes:       []string{}, // whether a client gets refresh tokens is said by its grants
		ClientSecretsHasher:      Secrets{},
		JWKSFetcherStrategy:      noFetcher{},
		TokenURL:                 s.config.Issuer + pathToken,
		AccessTokenIssuer:        s.config.Issuer,
	}
	config.ClientAuthenticationStrategy = s.authenticateClient
	tokens := strategy{s}
	helper := &oauth2.HandleHelper{AccessTokenStrategy: tokens, AccessTokenStorage: s.config.Storage, Config: config}
	if s.config.Users != nil {
		config.TokenEndpointHandlers.Append(&passwordHandler{
			server: s,
			ResourceOwnerPasswordCredentialsGrantHandler: &oauth2.ResourceOwnerPasswordCredentialsGrantHandler{
				HandleHelper:         helper,
				RefreshTokenStrategy: tokens,
				Config:               config,
				ResourceOwnerPasswordCredentialsGrantStorage: passwordStorage{s.config.Storage, s.config.Users},
			},
		})
	}
	config.TokenEndpointHandlers.Append(&refreshHandler{
		server: s,
		RefreshTokenGrantHandler: &oauth2.RefreshTokenGrantHandler{
			AccessTokenStrategy:    tokens,
			RefreshTokenStrategy:   tokens,
			TokenRevocationStorage: refreshLookup{s.config.Storage},
			Config:                 config,
		},
	})
	config.TokenEndpointHandlers.Append(&credentialsHandler{
		server:                        s,
		ClientCredentialsGrantHandler: &oauth2.ClientCredentialsGrantHandler{HandleHelper: helper, Config: config},
	})
	config.TokenEndpointHandlers.Append(&assertionHandler{server: s, helper: helper})
	config.TokenEndpointHandlers.Append(&exchangeHandler{server: s, helper: helper, refresh: tokens})
	return fosite.NewOAuth2Provider(s.config.Storage, config)
}

// passwordStorage is what fosite's password handler asks for.
type passwordStorage struct {
	oauth2.TokenRevocationStorage
	Users
}

var _ oauth2.ResourceOwnerPasswordCredentialsGrantStorage = passwordStorage{}

// noFetcher refuses to fetch a client's keys from a URL: we take them from the registry alone.
type noFetcher struct{ fosite.JWKSFetcherStrategy }

// grants lists the grant types that this server offers.
func (s *Server) grants() []string {
	list := []string{grantRefresh, grantClientCredentials, grantAssertion, grantExchange}
	if s.config.Users != nil {
		list = append([]string{grantPassword}, list...)
	}
	return list
}

// passwordHandler is fosite's password grant, in sessions of our own ID and with our lives of tokens.
type passwordHandler struct {
	*oauth2.ResourceOwnerPasswordCredentialsGrantHandler
	server *Server
}

// HandleTokenEndpointRequest implements RFC 6749 section 4.3.2.
func (h *passwordHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if err := h.ResourceOwnerPasswordCredentialsGrantHandler.HandleTokenEndpointRequest(ctx, req); err != nil {
		return err
	}
	return h.server.begin(ctx, req)
}

// PopulateTokenEndpointResponse implements RFC 6749 section 4.3.3.
func (h *passwordHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	return h.server.issue(ctx, req, resp, h.HandleHelper, h.RefreshTokenStrategy)
}

// credentialsHandler is fosite's client_credentials grant.
type credentialsHandler struct {
	*oauth2.ClientCredentialsGrantHandler
	server *Server
}

// HandleTokenEndpointRequest implements RFC 6749 section 4.4.2. A public client cannot prove who it is.
func (h *credentialsHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	if req.GetClient().IsPublic() || !req.GetClient().GetGrantTypes().Has(grantClientCredentials) || legacy(req.GetClient()) {
		return fosite.ErrUnauthorizedClient
	}
	if err := h.ClientCredentialsGrantHandler.HandleTokenEndpointRequest(ctx, req); err != nil {
		return err
	}
	return h.server.begin(ctx, req)
}

// PopulateTokenEndpointResponse implements RFC 6749 section 4.4.3.
func (h *credentialsHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	return h.server.issue(ctx, req, resp, h.HandleHelper, nil)
}
