package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ory/fosite"
)

// credentials are what a request says about its client (RFC 6749 section 2.3).
type credentials struct {
	id, secret               string
	assertion, assertionType string // private_key_jwt
}

// readCredentials reads the client's credentials from the Authorization header or from the body. Credentials in both are
// refused (RFC 6749 section 2.3).
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	body := credentials{
		id: form.Get("client_id"), secret: form.Get("client_secret"),
		assertion: form.Get("client_assertion"), assertionType: form.Get("client_assertion_type"),
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		if header := r.Header.Get("Authorization"); header != "" {
			return credentials{}, invalidClient(errors.New("authorization scheme is not Basic"))
		}
		if body.assertion != "" && body.secret != "" {
			return credentials{}, invalidRequest("The client authenticates in more than one way.")
		}
		return body, nil
	}
	// RFC 6749 section 2.3.1: both parts are form-encoded inside the header.
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if errID != nil || errSecret != nil {
		return credentials{}, invalidClient(errors.Join(errID, errSecret))
	}
	if body.secret != "" || body.assertion != "" || body.id != "" && body.id != id {
		return credentials{}, invalidRequest("The client authenticates in more than one way.")
	}
	return credentials{id: id, secret: secret, assertionType: body.assertionType}, nil
}

// hasCredentials tells whether a request has credentials of its client, good or bad. A client_id alone is not one.
func hasCredentials(r *http.Request, form url.Values) bool {
	return r.Header.Get("Authorization") != "" ||
		form.Has("client_secret") || form.Has("client_assertion") || form.Has("client_assertion_type")
}

// authenticateClient implements fosite.ClientAuthenticationStrategy. An unknown client and a wrong secret get the same
// response.
func (s *Server) authenticateClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	if c.assertion != "" || c.assertionType != "" {
		return s.authenticateByAssertion(ctx, c)
	}
	if c.id == "" {
		return nil, invalidClient(errors.New("no client_id"))
	}
	client, err := s.client(ctx, c.id)
	switch {
	case err != nil && !isNotFound(err):
		return nil, err
	case err == nil && client.IsPublic():
		return client, nil
	}
	if problem := s.compareThrottled(ctx, client, c, s.config.ClientAddress(r)); problem != nil {
		return nil, problem
	}
	return client, nil
}
