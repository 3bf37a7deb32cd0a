package authserver

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ory/fosite"
)

// introspect is the introspection endpoint (RFC 7662). Callers authenticate as confidential clients; a bearer token does
// not do. A client sees its own tokens; access tokens of others only where it is allowed to introspect.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	answer, err := s.introspection(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) introspection(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	form, err := parseForm(w, r)
	if err != nil {
		return nil, err
	}
	client, err := s.authenticateClient(r.Context(), r, form)
	if err != nil {
		return nil, err
	}
	if client.IsPublic() {
		return nil, invalidClient(errors.New("a public client cannot introspect"))
	}
	if form.Get("token") == "" {
		return nil, invalidRequest("The parameter token is missing.")
	}
	t, err := s.Inspect(r.Context(), form.Get("token"))
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return map[string]any{"active": false}, nil
	case err != nil:
		return nil, err
	}
	if !mayLookAt(client, t) {
		return map[string]any{"active": false}, nil
	}
	return s.describe(t), nil
}

// mayLookAt: a refresh token is its own client's business; an access token also that of resource servers.
func mayLookAt(client fosite.Client, t *Token) bool {
	return t.Client == client.GetID() || t.Kind == KindAccess && policyOf(client).Introspect
}

// describe is the answer of RFC 7662 section 2.2. token_use is ours: it keeps a refresh token from being taken for access.
func (s *Server) describe(t *Token) map[string]any {
	answer := map[string]any{
		"active": true, "client_id": t.Client, "token_use": t.Kind, "iss": s.config.Issuer,
		"exp": t.Expires.Unix(), "iat": t.Issued.Unix(), "sid": t.Session,
	}
	if t.Kind == KindAccess {
		answer["token_type"] = "Bearer"
	}
	if len(t.Scopes) > 0 {
		answer["scope"] = strings.Join(t.Scopes, " ")
	}
	if t.Subject != "" {
		answer["sub"], answer["username"] = t.Subject, t.Subject
	} else {
		answer["sub"] = t.Client
	}
	for _, name := range []string{"aud", "jti", "auth_time", "super_user", "role"} {
		if v, ok := t.Claims[name]; ok {
			answer[name] = v
		}
	}
	return answer
}
