package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/policy"
)

// serveToken is the token endpoint (RFC 6749 section 3.2). fosite checks the request with the handler of its grant type,
// the handler makes the tokens, the store commits them in one step, and only then is there a response.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	form, err := parseForm(w, r)
	if err == nil {
		err = s.checkTokenForm(form)
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	body, issued, err := s.runGrant(r, form)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if s.config.OnTokenIssued != nil {
		s.config.OnTokenIssued(issued)
	}
	s.allowOrigin(w, r, nil)
	writeJSON(w, http.StatusOK, body)
}

// checkTokenForm checks what can be checked before the client is authenticated.
func (s *Server) checkTokenForm(form url.Values) error {
	grantType := form.Get("grant_type")
	if grantType == "" {
		return invalidRequest("The parameter grant_type is missing.")
	}
	known, ok := policy.FindGrant(grantType)
	if !ok || !s.offers(known) {
		return &oauthError{Status: 400, Code: "unsupported_grant_type", Description: "The server does not support this grant type."}
	}
	for _, name := range known.Required {
		if form.Get(name) == "" {
			return invalidRequest("The parameter " + name + " is missing.")
		}
	}
	if !scopeCharacters(form.Get("scope")) {
		return invalidScope("The scope is malformed.")
	}
	return readTargets(form)
}

// scopeCharacters checks the characters of RFC 6749 section 3.3.
func scopeCharacters(scope string) bool {
	for i := range len(scope) {
		c := scope[i]
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// runGrant runs the grant of a token request and returns the response body.
func (s *Server) runGrant(r *http.Request, form url.Values) (map[string]any, TokenIssued, error) {
	// A login is admitted when its password has been verified: it must not keep others from a place while it waits for a hash.
	login := form.Get("grant_type") == policy.GrantPassword
	var ticket admission.Ticket
	defer func() { ticket.Leave() }()
	if !login {
		var err error
		if ticket, err = s.config.Admission.Enter(r.Context(), priorityOf(form.Get("grant_type"))); err != nil {
			return nil, TokenIssued{}, err
		}
	}
	ctx, err := s.config.Storage.BeginTX(r.Context())
	if err != nil {
		return nil, TokenIssued{}, err
	}
	session := &Session{address: s.config.ClientAddress(r), userAgent: r.UserAgent(), withCredentials: hasCredentials(r, form), place: &ticket}
	req, err := s.provider.NewAccessRequest(ctx, r, session)
	if err != nil {
		return nil, TokenIssued{}, err
	}
	if login {
		if ticket, err = s.config.Admission.Continue(ctx); err != nil {
			return nil, TokenIssued{}, err
		}
	}
	resp, err := s.issueAndCommit(ctx, req)
	if err != nil {
		return nil, TokenIssued{}, err
	}
	body := resp.ToMap()
	if body["scope"] == "" {
		delete(body, "scope")
	}
	return body, TokenIssued{
		Client: req.GetClient().GetID(), Subject: req.GetSession().GetSubject(), UserAgent: r.UserAgent(), Address: session.address,
		Grant: form.Get("grant_type"),
	}, nil
}

// priorityOf lets clients keep their sessions before new ones begin.
func priorityOf(grantType string) admission.Priority {
	if grantType == policy.GrantRefreshToken {
		return admission.First
	}
	return admission.Later
}

// issueAndCommit makes the tokens and commits them. It goes on when the client closes the connection, so that the store
// never keeps half of a session.
func (s *Server) issueAndCommit(ctx context.Context, req fosite.AccessRequester) (fosite.AccessResponder, error) {
	resp, err := s.provider.NewAccessResponse(context.WithoutCancel(ctx), req)
	if err != nil {
		return nil, errors.Join(err, s.config.Storage.Rollback(ctx))
	}
	if err := s.config.Storage.Commit(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return resp, nil
}
