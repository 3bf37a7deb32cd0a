package authserver

import (
	"context"
	"errors"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// The token types of RFC 8693 section 3 that this server knows.
const (
	tokenTypes       = "urn:ietf:params:oauth:token-type:" // #nosec G101 -- the name of a type
	tokenTypeAccess  = tokenTypes + "access_token"
	tokenTypeRefresh = tokenTypes + "refresh_token"
	tokenTypeJWT     = tokenTypes + "jwt"
)

// tokenExchangeGrant is token exchange (RFC 8693): the holder of a valid token of a user opens a session of another client
// for the same user. Clients of the legacy profile move to standard tokens this way, and the operations API logs in a
// caller who sends a token instead of a password.
type tokenExchangeGrant struct{ server *Server }

// check implements RFC 8693 section 2.1.
func (g tokenExchangeGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	client, form := req.GetClient(), req.GetRequestForm()
	if !client.GetGrantTypes().Has(policy.GrantTokenExchange) {
		return fosite.ErrUnauthorizedClient
	}
	if err := checkScopeAndAudience(client, req); err != nil {
		return err
	}
	if form.Get("actor_token") != "" {
		return invalidRequest("The parameter actor_token is not supported.")
	}
	switch form.Get("requested_token_type") {
	case "", tokenTypeAccess, tokenTypeRefresh, tokenTypeJWT:
	default:
		return invalidRequest("The requested_token_type is not supported.")
	}
	subject, err := g.subject(ctx, form.Get("subject_token"), form.Get("subject_token_type"))
	if err != nil {
		return err
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	session.Subject = subject
	return g.server.newSession(ctx, req)
}

// subject returns the user of a subject_token, which must be of the given type.
func (g tokenExchangeGrant) subject(ctx context.Context, token, tokenType string) (string, error) {
	t, err := g.server.Inspect(ctx, token)
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return "", invalidRequest("The subject_token is not valid.").because(err)
	case err != nil:
		return "", err
	case t.Subject == "" || t.Role != "":
		return "", invalidRequest("The subject_token is not that of a person.")
	}
	kinds := map[string]TokenKind{tokenTypeAccess: KindAccess, tokenTypeRefresh: KindRefresh, tokenTypeJWT: t.Kind}
	kind, known := kinds[tokenType]
	switch {
	case !known:
		return "", invalidRequest("The subject_token_type is not supported.")
	case kind != t.Kind:
		return "", invalidRequest("The subject_token is not of the subject_token_type.")
	}
	return t.Subject, nil
}

// issue implements RFC 8693 section 2.2.
func (g tokenExchangeGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	tokens, err := g.server.storeSession(ctx, req, withRefreshToken)
	tokens.exchangedFor = tokenTypeAccess
	return tokens, err
}
