package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/ory/fosite"
)

// presentedClient is what a request says of its client.
type presentedClient struct {
	id, secret string
	assertion  string // private_key_jwt
}

// presented reads the client's credentials from the one place where they are: the Authorization header or the body. In two
// places they are refused (RFC 6749 section 2.3).
func presented(r *http.Request, form url.Values) (presentedClient, error) {
	inBody := presentedClient{id: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	id, secret, basic := r.BasicAuth()
	if !basic {
		if header := r.Header.Get("Authorization"); header != "" {
			return presentedClient{}, invalidClient(errors.New("authorization scheme is not Basic"))
		}
		if inBody.assertion != "" && inBody.secret != "" {
			return presentedClient{}, invalidRequest("The client authenticates in more than one way.")
		}
		return inBody, nil
	}
	// RFC 6749 section 2.3.1: both parts are form-encoded inside the header.
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if errID != nil || errSecret != nil {
		return presentedClient{}, invalidClient(errors.Join(errID, errSecret))
	}
	if inBody.secret != "" || inBody.assertion != "" || inBody.id != "" && inBody.id != id {
		return presentedClient{}, invalidRequest("The client authenticates in more than one way.")
	}
	return presentedClient{id: id, secret: secret}, nil
}

// authenticateClient implements fosite's ClientAuthenticationStrategy. The answer to an unknown client and to a wrong
// secret is the same.
func (s *Server) authenticateClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	p, err := presented(r, form)
	if err != nil {
		return nil, err
	}
	if p.assertion != "" || form.Get("client_assertion_type") != "" {
		return s.authenticateByKey(ctx, p, form)
	}
	if p.id == "" {
		return nil, invalidClient(errors.New("no client named"))
	}
	client, err := s.client(ctx, p.id)
	if err != nil {
		return nil, err
	}
	if client.IsPublic() {
		return client, nil
	}
	if err := compareSecrets(ctx, client, []byte(p.secret)); err != nil {
		return nil, invalidClient(err)
	}
	return client, nil
}

// client looks a client up. Not to know it is a verdict, not to be able to look is none.
func (s *Server) client(ctx context.Context, id string) (Client, error) {
	found, err := s.config.Storage.GetClient(ctx, id)
	switch {
	case err == nil:
		client, ok := found.(Client)
		if !ok {
			return nil, fmt.Errorf("authserver: a client of type %T has no policy", found)
		}
		return client, nil
	case errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return nil, invalidClient(err)
	}
	return nil, fosite.ErrTemporarilyUnavailable.WithWrap(err)
}

// compareSecrets accepts any of the client's secrets: two may be good while one is exchanged for the other.
func compareSecrets(ctx context.Context, client fosite.Client, secret []byte) error {
	if len(secret) == 0 || len(client.GetHashedSecret()) == 0 {
		return errSecret
	}
	err := Secrets{}.Compare(ctx, client.GetHashedSecret(), secret)
	if rotated, ok := client.(fosite.ClientWithSecretRotation); ok && err != nil {
		for _, older := range rotated.GetRotatedHashes() {
			if Secrets.Compare(Secrets{}, ctx, older, secret) == nil {
				return nil
			}
		}
	}
	return err
}
