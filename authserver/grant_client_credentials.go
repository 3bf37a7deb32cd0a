package authserver

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/opgrant/opgrant/authserver/policy"
)

// clientCredentialsGrant is the client credentials grant (RFC 6749 section 4.4). fosite checks scope and audience.
type clientCredentialsGrant struct {
	server *Server
	fosite oauth2.ClientCredentialsGrantHandler
}

func newClientCredentialsGrant(s *Server, config *fosite.Config) *clientCredentialsGrant {
	return &clientCredentialsGrant{server: s, fosite: oauth2.ClientCredentialsGrantHandler{Config: config}}
}

// check implements RFC 6749 section 4.4.2. Public clients are refused because they cannot authenticate, and clients of the
// legacy profile because their tokens always name a user.
func (g *clientCredentialsGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	client := req.GetClient()
	if client.IsPublic() || !client.GetGrantTypes().Has(policy.GrantClientCredentials) || policyOf(client).Legacy() {
		return fosite.ErrUnauthorizedClient
	}
	if err := g.fosite.HandleTokenEndpointRequest(ctx, req); err != nil {
		return err
	}
	return g.server.newSession(ctx, req)
}

// issue implements RFC 6749 section 4.4.3: without a refresh token.
func (g *clientCredentialsGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	return g.server.storeSession(ctx, req, withoutRefreshToken)
}
