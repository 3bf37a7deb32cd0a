package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	form, err := parseForm(w, r)
	if err == nil {
		err = s.checkGrant(form)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer, issued, err := s.grant(r, form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if s.config.OnTokenIssued != nil {
		s.config.OnTokenIssued(issued)
	}
	writeJSON(w, http.StatusOK, answer)
}

// checkGrant says what is wrong with a request before anybody is asked who sends it.
func (s *Server) checkGrant(form url.Values) error {
	grant := form.Get("grant_type")
	if grant == "" {
		return invalidRequest("The parameter grant_type is missing.")
	}
	known, ok := policy.FindGrant(grant)
	if !ok || known.Users && s.config.Users == nil {
		return &Error{Status: 400, Code: "unsupported_grant_type", Description: "The server does not support this grant type."}
	}
	for _, name := range known.Required {
		if form.Get(name) == "" {
			return invalidRequest("The parameter " + name + " is missing.")
		}
	}
	if !scopeCharacters(form.Get("scope")) {
		return invalidScope("The scope is malformed.")
	}
	return nil
}

// scopeCharacters checks the set of RFC 6749 section 3.3.
func scopeCharacters(scope string) bool {
	for i := range len(scope) {
		c := scope[i]
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// grant runs one grant: fosite checks it, the store commits it in one step, and only then is there an answer.
func (s *Server) grant(r *http.Request, form url.Values) (map[string]any, TokenIssued, error) {
	ctx, err := s.config.Storage.BeginTX(r.Context())
	if err != nil {
		return nil, TokenIssued{}, err
	}
	session := &Session{address: s.config.ClientAddress(r), userAgent: r.UserAgent()}
	check := s.provider.NewAccessRequest
	if form.Get("grant_type") == policy.GrantPassword && s.config.Throttle != nil {
		check = s.throttled(form.Get("username"), session.address)
	}
	req, err := check(ctx, r, session)
	if err != nil {
		return nil, TokenIssued{}, err
	}
	resp, err := s.respondTo(ctx, req)
	if err != nil {
		return nil, TokenIssued{}, err
	}
	answer := resp.ToMap()
	if answer["scope"] == "" {
		delete(answer, "scope")
	}
	return answer, TokenIssued{
		Client: req.GetClient().GetID(), Subject: req.GetSession().GetSubject(), UserAgent: r.UserAgent(), Grant: form.Get("grant_type"),
	}, nil
}

// respondTo makes the tokens and commits them. The commit does not end with the caller's patience: a client that hangs up
// must not leave half an answer behind.
func (s *Server) respondTo(ctx context.Context, req fosite.AccessRequester) (fosite.AccessResponder, error) {
	resp, err := s.provider.NewAccessResponse(context.WithoutCancel(ctx), req)
	if err != nil {
		return nil, errors.Join(err, s.config.Storage.Rollback(ctx))
	}
	if err := s.config.Storage.Commit(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return resp, nil
}

// throttled is fosite's NewAccessRequest behind the throttle: a login is refused when too many have failed, before the
// password costs anything.
func (s *Server) throttled(username, address string) func(context.Context, *http.Request, fosite.Session) (fosite.AccessRequester, error) {
	return func(ctx context.Context, r *http.Request, session fosite.Session) (fosite.AccessRequester, error) {
		wait, err := s.config.Throttle.Reserve(ctx, username, address)
		if err != nil {
			return nil, err
		}
		if wait > 0 {
			return nil, &Error{
				Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: max(wait, time.Second),
				Description: "Too many attempts have failed. Try again later.",
			}
		}
		req, err := s.provider.NewAccessRequest(ctx, r, session)
		after := s.config.Throttle.Succeeded
		if err != nil {
			if answerTo(err).Code == "invalid_grant" {
				return req, err // the verdict that counts
			}
			after = s.config.Throttle.Cancel
		}
		if err := after(ctx, username, address); err != nil {
			s.config.Log.WarnContext(ctx, "login not taken back from the throttle", "error", err)
		}
		return req, err
	}
}
