package authserver

import (
	"context"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
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

// grantTypes lists the grant types that this server offers.
func (s *Server) grantTypes() []string {
	var types []string
	for _, g := range policy.Grants() {
		if !g.Users || s.config.Users != nil {
			types = append(types, g.Type)
		}
	}
	return types
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
	if req.GetClient().IsPublic() || !req.GetClient().GetGrantTypes().Has(policy.GrantClientCredentials) || policyOf(req.GetClient()).Legacy() {
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
