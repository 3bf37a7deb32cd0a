package authserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// grant is the work of one grant type.
type grant interface {
	// check validates a token request and prepares its session. It stores nothing that outlives a failure of issue.
	check(ctx context.Context, req fosite.AccessRequester) error
	// issue makes the tokens and stores them.
	issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error)
}

// newGrants returns the handler of each grant type. A new grant is one line here and one entry in the table of package
// policy.
func (s *Server) newGrants(config *fosite.Config) map[string]grant {
	return map[string]grant{
		policy.GrantPassword:          newPasswordGrant(s, config),
		policy.GrantRefreshToken:      newRefreshGrant(s, config),
		policy.GrantClientCredentials: newClientCredentialsGrant(s, config),
		policy.GrantJWTBearer:         jwtBearerGrant{s},
		policy.GrantTokenExchange:     tokenExchangeGrant{s},
	}
}

// offered returns the grants that this server offers.
func (s *Server) offered() []policy.Grant {
	return slices.DeleteFunc(policy.Grants(), func(g policy.Grant) bool { return !s.offers(g) })
}

// offers tells whether this server offers a grant.
func (s *Server) offers(g policy.Grant) bool {
	return (!g.Users || s.config.Users != nil) && (len(s.config.Grants) == 0 || slices.Contains(s.config.Grants, g.Type))
}

// newProvider returns fosite with the offered grants. Every field that they read is set here, because fosite's getters fill
// empty ones on first use without a lock.
func (s *Server) newProvider() (*fosite.Fosite, error) {
	config := &fosite.Config{
		AccessTokenLifespan:      time.Hour, // newSession and the refresh grant set each token's own expiry
		RefreshTokenLifespan:     -1,        // likewise: fosite does not set the expiry
		ScopeStrategy:            fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
		RefreshTokenScopes:       []string{}, // a client gets refresh tokens by its grants, not by a scope

		ClientAuthenticationStrategy: s.authenticateClient,
	}
	handlers := s.newGrants(config)
	for _, g := range s.offered() {
		handler, ok := handlers[g.Type]
		if !ok {
			return nil, fmt.Errorf("no handler for the grant type %s", g.Type)
		}
		// Not by its method Append, which drops a second handler of the same Go type.
		config.TokenEndpointHandlers = append(config.TokenEndpointHandlers, &grantHandler{grant: handler, policy: g, server: s})
	}
	return fosite.NewOAuth2Provider(s.config.Storage, config), nil
}

// grantHandler is a grant as fosite's token endpoint calls it.
type grantHandler struct {
	grant
	policy policy.Grant
	server *Server
}

var _ fosite.TokenEndpointHandler = (*grantHandler)(nil)

// CanSkipClientAuth implements fosite.TokenEndpointHandler. Credentials that come with the request are never skipped (RFC
// 7521 section 4.1).
func (h *grantHandler) CanSkipClientAuth(_ context.Context, req fosite.AccessRequester) bool {
	session, err := sessionFrom(req)
	return h.policy.AuthenticatesClient && err == nil && !session.withCredentials
}

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (h *grantHandler) CanHandleTokenEndpointRequest(_ context.Context, req fosite.AccessRequester) bool {
	return req.GetGrantTypes().ExactOne(h.policy.Type)
}

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler. fosite calls it for the grant type of the request.
func (h *grantHandler) HandleTokenEndpointRequest(ctx context.Context, req fosite.AccessRequester) error {
	if !h.policy.AuthenticatesClient {
		if err := checkTargets(req.GetClient(), req.GetRequestedAudience()); err != nil {
			return err
		}
	}
	return h.check(ctx, req)
}

// PopulateTokenEndpointResponse implements fosite.TokenEndpointHandler. fosite calls it for every grant type.
func (h *grantHandler) PopulateTokenEndpointResponse(ctx context.Context, req fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, req) {
		return fosite.ErrUnknownRequest
	}
	tokens, err := h.issue(ctx, req)
	if err != nil {
		return err
	}
	writeTokens(resp, tokens, h.server.config.Now())
	return nil
}
