package authserver

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// refreshGrant is the refresh grant (RFC 6749 section 6). fosite looks the token up and checks client, expiry, scope and
// audience. The rotation is one atomic step of the store, which fosite does not have.
type refreshGrant struct {
	server *Server
	config *fosite.Config
}

func newRefreshGrant(s *Server, config *fosite.Config) *refreshGrant {
	return &refreshGrant{server: s, config: config}
}

// check implements RFC 6749 section 6 up to the new tokens.
func (g *refreshGrant) check(ctx context.Context, req fosite.AccessRequester) error {
	targets := req.GetRequestedAudience() // before fosite replaces them
	token, err := g.server.parseToken(ctx, req.GetRequestForm().Get("refresh_token"))
	if err == nil && token.kind != KindRefresh {
		err = ErrTokenInvalid
	}
	if err == nil && token.imported() {
		err = g.server.openImported(ctx, req, token)
	}
	if err == nil {
		err = g.lookUp(ctx, req, token)
	}
	if err != nil {
		return refreshError(err)
	}
	session, err := sessionFrom(req)
	if err != nil {
		return err
	}
	if err := g.server.checkKeys(ctx, session); err != nil {
		return refreshError(err)
	}
	if session.Role != "" {
		return invalidGrant("The session was opened for a role and gets no further tokens.")
	}
	if err := narrowScope(session, req); err != nil {
		return err
	}
	if err := g.server.narrowTargets(session, req, targets); err != nil {
		return err
	}
	session.refreshToken = token
	g.setExpiry(session, req.GetClient())
	return g.server.loadClaims(ctx, session)
}

// lookUp runs fosite's refresh handler, which finds the session of the token and copies it into the request.
func (g *refreshGrant) lookUp(ctx context.Context, req fosite.AccessRequester, token *parsedToken) error {
	handler := oauth2.RefreshTokenGrantHandler{
		RefreshTokenStrategy:   refreshStrategy{g.server, token},
		TokenRevocationStorage: refreshStorage{g.server.config.Storage},
		Config:                 g.config,
	}
	return handler.HandleTokenEndpointRequest(ctx, req)
}

// refreshError maps every refusal of a refresh token to invalid_grant. An unavailable store stays unavailable, so that the
// client keeps its token.
func refreshError(err error) error {
	switch {
	case isUnavailable(err):
		return err
	case errors.Is(err, ErrTokenExpired), errors.Is(err, fosite.ErrTokenExpired):
		return invalidGrant(expiredRefreshToken)
	case errors.Is(err, ErrTokenInvalid), errors.Is(err, fosite.ErrInactiveToken):
		return fosite.ErrInvalidGrant.WithWrap(err)
	}
	return err
}

// narrowScope gives the access token the scope of the request, and refuses one that the session was not granted (RFC 6749
// section 6). The session, and so the refresh token, keeps what it was granted.
func narrowScope(session *Session, req fosite.AccessRequester) error {
	asked := strings.Fields(req.GetRequestForm().Get("scope"))
	for _, scope := range asked {
		if !slices.Contains(req.GetGrantedScopes(), scope) { // Arguments.Has ignores the case
			return invalidScope("The scope is more than the session was granted.")
		}
	}
	if len(asked) > 0 {
		session.scopes = asked
	}
	return nil
}

// setExpiry sets the times of the new tokens. A static refresh token keeps its own expiry.
func (g *refreshGrant) setExpiry(session *Session, c fosite.Client) {
	client := policyOf(c)
	access, refresh := g.server.ttl(client)
	now := g.server.config.Now()
	session.issued = now.Unix()
	session.AccessExpires = now.Add(access).Unix()
	if !client.Static() {
		session.RefreshExpires = now.Add(refresh).Unix()
	} else if expires := session.refreshToken.expires; !expires.IsZero() {
		session.RefreshExpires = expires.Unix()
	}
	capToSession(session, client)
}

// issue makes the new tokens and rotates the refresh token in one step of the store. A token that was rotated within the
// client's grace gets the response of that rotation again, and so does one whose rotation is in doubt because the reply of the
// store was lost; later it is reuse and ends the session (RFC 9700 section 4.14.2). A static refresh token stays as it is.
func (g *refreshGrant) issue(ctx context.Context, req fosite.AccessRequester) (issuedTokens, error) {
	session, err := sessionFrom(req)
	if err != nil {
		return issuedTokens{}, err
	}
	tokens, sealed, err := g.tokens(ctx, req, session)
	if err != nil {
		return issuedTokens{}, err
	}
	token := session.refreshToken
	earlier, err := g.server.config.Storage.RefreshSession(
		ctx, token.signature, tokens.accessSignature, tokens.refreshSignature, sealed, withoutForm(req))
	switch {
	case err != nil && !decided(err):
		return issuedTokens{}, err
	case errors.Is(err, fosite.ErrInactiveToken):
		g.server.config.Log.WarnContext(ctx, "refresh token reuse: session ended",
			"session", req.GetID(), "client", req.GetClient().GetID(), "subject", session.Subject)
		return issuedTokens{}, fosite.ErrInvalidGrant.WithWrap(err)
	case err != nil:
		return issuedTokens{}, fosite.ErrInvalidGrant.WithWrap(err)
	case earlier != nil:
		return unsealTokens(token.raw, earlier)
	}
	return tokens, nil
}

// decided tells whether a failed refresh was refused by the store. After any other error it may have happened.
func decided(err error) bool {
	return !isUnavailable(err) && (errors.Is(err, fosite.ErrInactiveToken) ||
		errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrSerializationFailure))
}

// tokens returns the tokens to issue, and their encrypted form if they rotate the refresh token.
func (g *refreshGrant) tokens(ctx context.Context, req fosite.AccessRequester, session *Session) (issuedTokens, []byte, error) {
	rotate := !policyOf(req.GetClient()).Static()
	tokens, err := g.server.mintTokens(ctx, req, session, rotate)
	if err != nil || !rotate {
		return tokens, nil, err
	}
	sealed, err := sealTokens(session.refreshToken.raw, tokens)
	return tokens, sealed, err
}

// refreshStrategy is fosite's RefreshTokenStrategy for the one request of a token, which parseToken has verified and named.
type refreshStrategy struct {
	server *Server
	token  *parsedToken
}

var _ oauth2.RefreshTokenStrategy = refreshStrategy{}

// RefreshTokenSignature implements oauth2.RefreshTokenStrategy.
func (r refreshStrategy) RefreshTokenSignature(context.Context, string) string {
	return r.token.signature
}

// ValidateRefreshToken implements oauth2.RefreshTokenStrategy. The store has compared the whole token; only the expiry of the
// session is left to check.
func (r refreshStrategy) ValidateRefreshToken(_ context.Context, req fosite.Requester, _ string) error {
	if expires := req.GetSession().GetExpiresAt(fosite.RefreshToken); !expires.IsZero() && !r.server.config.Now().Before(expires) {
		return fosite.ErrTokenExpired
	}
	return nil
}

// GenerateRefreshToken implements oauth2.RefreshTokenStrategy.
func (r refreshStrategy) GenerateRefreshToken(ctx context.Context, req fosite.Requester) (token, signature string, err error) {
	session, err := sessionFrom(req)
	if err != nil {
		return "", "", err
	}
	return r.server.mintRefreshToken(ctx, req, session)
}

// refreshStorage is the store as fosite's refresh handler sees it. A used token passes the look-up: fosite would end the
// session at once, before it checks the client, so that anyone who learns a used token could log its owner out.
// RefreshSession detects reuse after all checks.
type refreshStorage struct{ Storage }

// GetRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (l refreshStorage) GetRefreshTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	req, err := l.Storage.GetRefreshTokenSession(ctx, signature, session)
	if req != nil && errors.Is(err, fosite.ErrInactiveToken) {
		return req, nil
	}
	return req, err
}
