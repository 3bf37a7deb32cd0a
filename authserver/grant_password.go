package authserver

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// passwordGrant is the password grant (RFC 6749 section 4.3). fosite checks client, scope, audience and password.
type passwordGrant struct {
	server *Server
	fosite oauth2.ResourceOwnerPasswordCredentialsGrantHandler
}

func newPasswordGrant(s *Server, config *fosite.Config) *passwordGrant {
	return &passwordGrant{server: s, fosite: oauth2.ResourceOwnerPasswordCredentialsGrantHandler{
		Config: config,
		ResourceOwnerPasswordCredentialsGrantStorage: passwordStorage{s.config.Storage, s.config.Users},
	}}
}

// passwordStorage is the storage interface of fosite's password handler.
type passwordStorage struct {
	oauth2.TokenRevocationStorage
	Users
}

var _ oauth2.ResourceOwnerPasswordCredentialsGrantStorage = passwordStorage{}

// check implements RFC 6749 section 4.3.2.
func (g *passwordGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	if err := g.fosite.HandleTokenEndpointRequest(ctx, req); err != nil {
		return err
	}
	return g.server.newSession(ctx, req)
}

// issue implements RFC 6749 section 4.3.3.
func (g *passwordGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	return g.server.storeSession(ctx, req, withRefreshToken)
}
