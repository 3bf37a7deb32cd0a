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

// addressKey is the key of the client's address in the context of fosite's handler, which has no place for it.
type addressKey struct{}

// Authenticate is called by fosite after it has checked the client.
func (s passwordStorage) Authenticate(ctx context.Context, name, secret string) (subject string, err error) {
	address, _ := ctx.Value(addressKey{}).(string)
	return s.Login(ctx, name, secret, address)
}

// check implements RFC 6749 section 4.3.2.
func (g *passwordGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	if err := g.fosite.HandleTokenEndpointRequest(context.WithValue(ctx, addressKey{}, session.address), req); err != nil {
		return err
	}
	return g.server.newSession(ctx, req)
}

// issue implements RFC 6749 section 4.3.3.
func (g *passwordGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	return g.server.storeSession(ctx, req, withRefreshToken)
}
