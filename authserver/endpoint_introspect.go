package authserver

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// serveIntrospect is the introspection endpoint (RFC 7662). Callers authenticate as confidential clients; a bearer token is
// not enough. A client may ask about its own tokens, and about access tokens of others if its policy allows introspection.
func (s *Server) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	body, err := s.introspect(w, r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.allowOrigin(w, r, nil)
	writeJSON(w, http.StatusOK, body)
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	form, err := parseForm(w, r)
	if err != nil {
		return nil, err
	}
	ticket, err := s.config.Admission.Enter(r.Context(), admission.First)
	if err != nil {
		return nil, err
	}
	defer ticket.Leave()
	client, err := s.authenticateClient(r.Context(), r, form)
	if err != nil {
		return nil, err
	}
	if client.IsPublic() {
		return nil, invalidClient(errors.New("a public client cannot introspect"))
	}
	token := form.Get("token") // a wrong hint (token_type_hint) would have to be ignored, so all of them are
	if token == "" {
		return nil, errTokenMissing
	}
	t, err := s.inspectNow(r.Context(), token)
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return map[string]any{"active": false}, nil
	case err != nil:
		return nil, err
	}
	if !visibleTo(client, t) {
		return map[string]any{"active": false}, nil
	}
	return s.introspectionResponse(t), nil
}

// inspectNow is Inspect with the user's rights of this moment. A token of the legacy profile repeats those of when it was
// issued, and is good for as long as its login asked for. They are read in the same round trip.
func (s *Server) inspectNow(ctx context.Context, token string) (*Token, error) {
	if !tokenCharacters(token) {
		return nil, ErrTokenInvalid
	}
	parsed, err := s.parseToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if !parsed.legacy || s.config.Users == nil {
		return s.inspect(ctx, parsed)
	}
	ctx, err = s.config.Storage.BeginTX(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.inspect(ctx, parsed)
	if err == nil {
		err = s.presentRights(ctx, t)
	}
	return t, errors.Join(err, s.config.Storage.Rollback(ctx))
}

// presentRights replaces what the claims of a token say about the user's rights.
func (s *Server) presentRights(ctx context.Context, t *Token) error {
	now, err := s.config.Users.Claims(ctx, t.Subject)
	switch {
	case isNotFound(err):
		return ErrTokenInvalid
	case err != nil:
		return err
	case t.Role != "" && t.Role != now["role"]:
		return ErrTokenInvalid // it is good for a role alone, and the user does not have that
	}
	t.Claims = maps.Clone(t.Claims)
	t.Claims["super_user"] = now["super_user"] == true
	return nil
}

// errTokenMissing is the error of introspection and revocation without a token.
var errTokenMissing = invalidRequest("The parameter token is missing.")

// visibleTo tells whether the client may see the token: its own, or an access token if it may introspect.
func visibleTo(client fosite.Client, t *Token) bool {
	return t.Client == client.GetID() || t.Kind == KindAccess && policyOf(client).Introspect
}

// introspectionResponse is the response of RFC 7662 section 2.2. token_use is an extension, by which a resource server can
// tell a refresh token from an access token.
func (s *Server) introspectionResponse(t *Token) map[string]any {
	body := map[string]any{
		"active": true, "client_id": t.Client, "token_use": t.Kind, "iss": s.config.Issuer,
		"exp": t.Expires.Unix(), "iat": t.Issued.Unix(), "sid": t.Session,
	}
	if t.Kind == KindAccess {
		body["token_type"] = "Bearer"
	}
	if _, limited := t.Claims["scope"]; limited || len(t.Scopes) > 0 {
		body["scope"] = strings.Join(t.Scopes, " ")
	}
	if t.Subject != "" {
		body["sub"], body["username"] = t.Subject, t.Subject
	} else {
		body["sub"] = t.Client
	}
	for _, name := range []string{"aud", "jti", "auth_time", "super_user", "role"} {
		if v, ok := t.Claims[name]; ok {
			body[name] = v
		}
	}
	return body
}
