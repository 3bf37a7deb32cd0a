package authserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/ory/fosite"
)

// serveRevoke is the revocation endpoint (RFC 7009). Revoking a refresh token ends its session with all access tokens;
// revoking an access token ends that token only. A token that is unknown, expired or already revoked is answered 200. A
// store that does not answer is 503, because the token may still be valid (section 2.2.1).
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request) {
	client, token, err := s.tokenRequest(w, r)
	if err == nil && token == "" {
		err = errTokenMissing
	}
	if err == nil {
		err = s.revoke(context.WithoutCancel(r.Context()), client, token)
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	// RFC 7009 section 2.2 lets clients ignore the body. Some parse it as JSON all the same.
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) revoke(ctx context.Context, client fosite.Client, token string) error {
	t, err := s.Inspect(ctx, token)
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return nil
	case err != nil:
		return err
	}
	if t.Client != client.GetID() {
		s.config.Log.WarnContext(ctx, "a client tried to revoke another client's token", "client", client.GetID(), "owner", t.Client)
		return refuseRevocation(client, t)
	}
	if t.Kind == KindRefresh {
		return s.config.Storage.RevokeSession(ctx, t.Session)
	}
	return s.config.Storage.DeleteAccessTokenSession(ctx, t.signature)
}

// refuseRevocation is the answer to a client that revokes a token of another one: RFC 7009 section 2.1 says that the request
// is refused and that the client is told, with the error code that RFC 6749 section 5.2 has for what was issued to another
// client. The client holds the token, so that it learns little. Anyone can claim to be a public client, so that one learns
// nothing: its answer is the same as for an unknown token.
func refuseRevocation(client fosite.Client, t *Token) error {
	if client.IsPublic() || t.Client == "" {
		return nil
	}
	return fosite.ErrInvalidGrant
}
