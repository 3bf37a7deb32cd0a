package authserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// serveRevoke is the revocation endpoint (RFC 7009). Revoking a refresh token ends its session with all access tokens;
// revoking an access token ends that token only. A token that is unknown, expired or already revoked is answered 200. A
// store that does not answer is 503, because the token may still be valid (section 2.2.1).
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if err := s.revokeRequested(w, r); err != nil {
		s.writeError(w, r, err)
		return
	}
	// RFC 7009 section 2.2 lets clients ignore the body. Some parse it as JSON all the same.
	s.allowOrigin(w, r, nil)
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) revokeRequested(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	ticket, err := s.config.Admission.Enter(r.Context(), admission.First)
	if err != nil {
		return err
	}
	defer ticket.Leave()
	client, err := s.authenticateClient(r.Context(), r, form)
	if err != nil {
		return err
	}
	token := form.Get("token")
	if token == "" {
		return errTokenMissing
	}
	return s.revoke(context.WithoutCancel(r.Context()), client, token)
}

func (s *Server) revoke(ctx context.Context, client fosite.Client, token string) error {
	if !tokenCharacters(token) {
		return nil
	}
	t, err := s.parseToken(ctx, token)
	if errors.Is(err, ErrTokenInvalid) || errors.Is(err, ErrTokenExpired) {
		return nil
	}
	if err != nil {
		return err
	}
	// Not by Inspect: a disabled user's tokens are not valid now, and would be again once the user is enabled.
	session, owner, err := s.config.Storage.TokenOwner(ctx, t.signature, t.kind == KindRefresh)
	switch {
	case isNotFound(err) && t.imported():
		return s.revokeImported(ctx, client, t)
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	}
	if owner != client.GetID() {
		s.config.Log.WarnContext(ctx, "a client tried to revoke another client's token", "client", client.GetID(), "owner", owner)
		return refuseRevocation(client)
	}
	if t.imported() {
		return s.revokeUnopened(ctx, t) // a request that has just checked the token must not open the session again
	}
	if t.kind == KindRefresh {
		return s.config.Storage.RevokeSession(ctx, session)
	}
	return s.config.Storage.DeleteAccessTokenSession(ctx, t.signature)
}

// revokeImported revokes a token that another server issued and that has no session here: a refresh token cannot open one any
// more. An access token cannot be revoked by itself (RFC 7009 section 2.2.1); all tokens of its user can. Such tokens do not
// name their client, so that any client which could use one may revoke it.
func (s *Server) revokeImported(ctx context.Context, client fosite.Client, t *parsedToken) error {
	if !policyOf(client).Legacy() {
		return nil
	}
	if t.kind == KindAccess {
		return &oauthError{Status: http.StatusBadRequest, Code: "unsupported_token_type", Description: "The token has no session here, so that it cannot be revoked by itself."}
	}
	return s.revokeUnopened(ctx, t)
}

// refuseRevocation is the answer to a client that revokes a token of another one: RFC 7009 section 2.1 says that the request
// is refused and that the client is told, with the error code that RFC 6749 section 5.2 has for what was issued to another
// client. The client holds the token, so that it learns little. Anyone can claim to be a public client, so that one learns
// nothing: its answer is the same as for an unknown token.
func refuseRevocation(client fosite.Client) error {
	if client.IsPublic() {
		return nil
	}
	return fosite.ErrInvalidGrant
}
