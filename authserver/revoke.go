package authserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/ory/fosite"
)

// revoke is the revocation endpoint (RFC 7009). A refresh token takes its session with it, with all access tokens; an
// access token goes alone. A token that is unknown, expired or revoked before is answered 200: the client has what it
// wants. A store that does not answer is 503, because the token may still be good (section 2.2.1).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	form, err := parseForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	client, err := s.authenticateClient(r.Context(), r, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if form.Get("token") == "" {
		s.fail(w, r, invalidRequest("The parameter token is missing."))
		return
	}
	if err := s.revokeToken(context.WithoutCancel(r.Context()), client, form.Get("token")); err != nil {
		s.fail(w, r, err)
		return
	}
	// The RFC has clients ignore the body. Some parse it all the same, and refuse one that is not JSON.
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) revokeToken(ctx context.Context, client fosite.Client, token string) error {
	t, err := s.Inspect(ctx, token)
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return nil
	case err != nil:
		return err
	}
	if t.Client != client.GetID() {
		// RFC 7009 section 2.1 refuses this; saying so would tell a stranger that the token is good.
		s.config.Log.WarnContext(ctx, "a client tried to revoke another one's token", "client", client.GetID(), "owner", t.Client)
		return nil
	}
	if t.Kind == KindRefresh {
		return s.config.Storage.RevokeSession(ctx, t.Session)
	}
	return s.config.Storage.DeleteAccessTokenSession(ctx, s.signatureOf(token))
}
