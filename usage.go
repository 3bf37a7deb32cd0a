package opgrant

import (
	"context"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage/usage"
)

// tokenIssued counts a use of the OAuth endpoints. The token endpoint also serves the operations API, which counts its own
// calls, so tokens of its client are left out.
func (s *Server) tokenIssued(t authserver.TokenIssued) {
	if s.config.DisableOperations || t.Client != s.config.Operations.ClientID {
		s.Usage.Count(usage.APIOAuth, t.Client, t.Subject, t.UserAgent)
	}
	if s.config.OnTokenIssued != nil {
		s.config.OnTokenIssued(t)
	}
}

// operationServed counts a use of the operations API. Calls that name no user are left out: they do not tell who still has to
// move to OAuth 2.0.
func (s *Server) operationServed(ctx context.Context, u compat.OperationServed) {
	if u.User != "" {
		s.Usage.Count(usage.APIOperations, s.config.Operations.ClientID, u.User, u.UserAgent)
	}
	if s.config.Operations.OnOperation != nil {
		s.config.Operations.OnOperation(ctx, u)
	}
}
