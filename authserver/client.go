package authserver

import (
	"context"
	"fmt"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Client is an OAuth client with its policy. Every client that Storage returns must implement it. The server answers a
// request of any other client with an error, so that a wrapper cannot lose the policy unnoticed.
type Client interface {
	fosite.Client
	Policy() policy.Client
}

// policyOf returns the policy of a client that came through Server.client, which refuses a client without one.
func policyOf(c fosite.Client) policy.Client { return c.(Client).Policy() }

// client looks a client up. An unknown client is invalid_client; a store that does not answer is unavailable.
func (s *Server) client(ctx context.Context, id string) (Client, error) {
	found, err := s.config.Storage.GetClient(ctx, id)
	switch {
	case isNotFound(err):
		return nil, invalidClient(err)
	case err != nil:
		return nil, fosite.ErrTemporarilyUnavailable.WithWrap(err)
	}
	return withPolicy(found)
}

// withPolicy returns an error for a client that does not implement Client.
func withPolicy(c fosite.Client) (Client, error) {
	client, ok := c.(Client)
	if !ok {
		return nil, fmt.Errorf("authserver: a client of type %T has no policy", c)
	}
	return client, nil
}

// checkScopeAndAudience refuses a scope or an audience that the client may not ask for.
func checkScopeAndAudience(client fosite.Client, req fosite.AccessRequester) error {
	for _, scope := range req.GetRequestedScopes() {
		if !fosite.ExactScopeStrategy(client.GetScopes(), scope) {
			return fosite.ErrInvalidScope
		}
	}
	return checkTargets(client, req.GetRequestedAudience())
}
