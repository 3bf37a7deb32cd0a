package authserver

import (
	"context"
	"errors"
	"slices"

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
//
// The new session has at most the rights of the subject token, does not outlive it, and ends with it: see limitTo.
type tokenExchangeGrant struct{ server *Server }

// inProcessKey marks the context of a request that a handler of this process makes, see Server.Token.
type inProcessKey struct{}

// check implements RFC 8693 section 2.1.
func (g tokenExchangeGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	client, form := req.GetClient(), req.GetRequestForm()
	if !client.GetGrantTypes().Has(policy.GrantTokenExchange) {
		return fosite.ErrUnauthorizedClient
	}
	// Anybody can be a public client, so that its name must not make a right out of a token. The operations API is one, in this
	// process, and makes tokens of its own kind alone.
	if client.IsPublic() && ctx.Value(inProcessKey{}) == nil {
		return fosite.ErrUnauthorizedClient
	}
	if err := checkScopeAndAudience(client, req); err != nil {
		return err
	}
	if form.Get("actor_token") != "" || form.Get("actor_token_type") != "" {
		return invalidRequest("The parameter actor_token is not supported.")
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	switch asked := form.Get("requested_token_type"); asked {
	case "", tokenTypeAccess:
		session.exchangedFor = tokenTypeAccess
	case tokenTypeJWT:
		session.exchangedFor = tokenTypeJWT // every access token is a JWT
	default:
		return invalidRequest("The requested_token_type is not supported.")
	}
	subject, err := g.subject(ctx, req.GetClient(), form.Get("subject_token"), form.Get("subject_token_type"))
	if err != nil {
		return err
	}
	session.Subject, session.madeFrom = subject.Subject, subject
	return g.server.newSession(ctx, req)
}

// subject returns a subject_token, which must be of the given type, of a user, and of a client whose tokens this one takes.
func (g tokenExchangeGrant) subject(ctx context.Context, client fosite.Client, token, tokenType string) (*Token, error) {
	t, err := g.server.inspectToken(ctx, token)
	switch {
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, ErrTokenExpired):
		return nil, invalidRequest("The subject_token is not valid.").because(err)
	case err != nil:
		return nil, err
	case t.Subject == "" || t.Role != "":
		return nil, invalidRequest("The subject_token is not that of a person.")
	}
	kinds := map[string]TokenKind{tokenTypeAccess: KindAccess, tokenTypeRefresh: KindRefresh, tokenTypeJWT: t.Kind}
	kind, known := kinds[tokenType]
	switch {
	case !known:
		return nil, invalidRequest("The subject_token_type is not supported.")
	case kind != t.Kind:
		return nil, invalidRequest("The subject_token is not of the subject_token_type.")
	}
	source, err := g.source(ctx, policyOf(client), t)
	if err != nil {
		return nil, err
	}
	if t.parsed.imported() && t.Session == "" && t.Kind == KindRefresh {
		// Its session is opened now, so that the new one can end with it.
		return g.openSource(ctx, source, t)
	}
	return t, nil
}

// source returns the client whose token it is, if the client takes its tokens. A client of the legacy profile takes its own.
// A token that another server issued is one of any client of the legacy profile: no token of those names its client.
func (g tokenExchangeGrant) source(ctx context.Context, client policy.Client, t *Token) (Client, error) {
	from := client.ExchangeFrom
	if client.Legacy() {
		from = append(slices.Clone(from), client.ID)
	}
	for _, id := range from {
		if t.Client != "" && t.Client != id {
			continue
		}
		source, err := g.server.client(ctx, id)
		if isUnavailable(err) {
			return nil, err
		}
		if err == nil && (t.Client != "" || source.Policy().Legacy()) {
			return source, nil
		}
	}
	return nil, invalidRequest("The client may not exchange this subject_token.")
}

// openSource opens the session of an imported refresh token, as its first refresh would.
func (g tokenExchangeGrant) openSource(ctx context.Context, source Client, t *Token) (*Token, error) {
	opened := fosite.NewAccessRequest(&Session{})
	opened.Client = source
	err := g.server.openImported(ctx, opened, t.parsed)
	if err == nil {
		t, err = g.server.inspectStored(ctx, t.parsed)
	}
	if errors.Is(err, ErrTokenInvalid) {
		return nil, invalidRequest("The subject_token is not valid.").because(err)
	}
	return t, err
}

// limitTo limits a new session, whose request is valid for its client, to the rights of the token that it is made from:
// scopes, audience, end, and the time of the login. The user's own rights are read anew in any case.
func (s *Server) limitTo(t *Token, session *Session, req fosite.AccessRequester) error {
	id := s.config.Storage.SessionID(session.Subject)
	if t.Session != "" {
		var ok bool
		if id, ok = s.config.Storage.DerivedSessionID(t.Session); !ok {
			return invalidRequest("The subject_token was made by too many exchanges.")
		}
	}
	req.SetID(id)
	if t.Kind == KindAccess && t.Session != "" {
		session.subjectSignature = t.signature
	}
	session.MadeFrom = t.madeFrom
	session.LoggedIn = t.loggedIn
	session.Ends = t.Expires.Unix()
	if policyOf(req.GetClient()).Legacy() && (!t.limit.Scopes.All || !t.limit.Targets.All) {
		session.Limit = &t.limit
	}
	if err := limitScopes(t.limit.Scopes, req); err != nil {
		return err
	}
	return s.limitTargets(t.limit.Targets, req)
}

// limitScopes refuses a scope that the token does not have. A request without a scope gets what the client has by default
// and the token has too.
func limitScopes(has most, req fosite.AccessRequester) error {
	asked := []string(req.GetRequestedScopes())
	if len(has.and(asked)) < len(asked) {
		return invalidScope("The scope is more than the subject_token has.")
	}
	if len(asked) == 0 {
		asked = has.and(policyOf(req.GetClient()).DefaultScopes)
	}
	for _, scope := range asked {
		req.GrantScope(scope)
	}
	return nil
}

// limitTargets refuses a target that the token is not for. A request without one gets those of the token that the client may
// ask for.
func (s *Server) limitTargets(has most, req fosite.AccessRequester) error {
	asked := []string(req.GetRequestedAudience())
	if len(has.and(asked)) < len(asked) {
		return invalidTarget("The subject_token is not for this audience or resource.")
	}
	if len(asked) == 0 && !has.All {
		asked = has.and(req.GetClient().GetAudience())
		if len(asked) == 0 && !has.has(s.config.Audience) { // what a token is for that names nothing
			return invalidTarget("The subject_token is for no audience that the client may ask for.")
		}
	}
	for _, target := range asked {
		req.GrantAudience(target)
	}
	return nil
}

// issue implements RFC 8693 section 2.2.
func (g tokenExchangeGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	session, err := sessionFrom(req)
	if err != nil {
		return issuedTokens{}, err
	}
	tokens, err := g.server.storeSession(ctx, req, withRefreshToken)
	tokens.exchangedFor = session.exchangedFor
	return tokens, err
}
