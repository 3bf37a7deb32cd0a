package opgrant

import (
	"context"
	"net/http"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage/usage"
)

// tokenIssued counts a use of the OAuth endpoints. The token endpoint also serves the operations API, which counts its own
// calls, so tokens of its client are left out.
func (s *Server) tokenIssued(t authserver.TokenIssued) {
	if s.config.DisableOperations || t.Client != s.config.Operations.ClientID {
		s.Usage.Count(usage.Caller{API: usage.APIOAuth, Client: t.Client, User: t.Subject, UserAgent: t.UserAgent, Address: t.Address})
	}
	if s.config.OnTokenIssued != nil {
		s.config.OnTokenIssued(t)
	}
}

// operationServed counts a use of the operations API. Calls whose caller is not verified are left out: anyone can send a name, and
// who cannot log in does not have to move. So are those that were not served, which their caller repeats.
func (s *Server) operationServed(ctx context.Context, u compat.OperationServed) {
	if u.Verified && u.Status != http.StatusServiceUnavailable {
		s.Usage.Count(usage.Caller{
			API: usage.APIOperations, Client: s.config.Operations.ClientID, User: u.User, UserAgent: u.UserAgent, Address: u.Address,
		})
	}
	if s.config.Operations.OnOperation != nil {
		s.config.Operations.OnOperation(ctx, u)
	}
}
