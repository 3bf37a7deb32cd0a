package authserver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"
)

// TokenKind tells access tokens from refresh tokens.
type TokenKind string

// The kinds of a token.
const (
	KindAccess  TokenKind = "access_token"
	KindRefresh TokenKind = "refresh_token"
)

// Errors of Inspect that say that a token is not valid. Any other error says that the server cannot tell.
var (
	// ErrTokenInvalid is a token that this server did not issue, or that was altered or revoked, or whose session has ended.
	ErrTokenInvalid = errors.New("authserver: token is not valid")
	// ErrTokenExpired is a token of this server that has expired.
	ErrTokenExpired = errors.New("authserver: token is expired")
)

// Token describes a valid token.
type Token struct {
	Kind   TokenKind
	Legacy bool // the token has the legacy profile
	// Subject is the user. Empty for a client's own token.
	Subject string
	// Client is the client that the token was issued to. Empty for an imported token that has no session here.
	Client string
	Scopes []string
	// Role is the role that a login of the legacy profile asked for.
	Role string
	// Session is the ID of the token's session. Empty for an imported token that has no session here.
	Session         string
	Issued, Expires time.Time
	// Claims are all claims of a JWT; nil for an opaque token. They must not be changed.
	Claims map[string]any

	signature string // the token's name in the store
}

// parsedToken is a token that came with a request. It is verified once and named once, here; all later steps of the request
// read this value.
type parsedToken struct {
	raw       string
	signature string // the token's name in the store; empty if it cannot be a token of this server
	kind      TokenKind
	session   string // empty for an imported token

	// The rest is empty for an opaque refresh token, about which only the store knows more.
	legacy          bool
	subject         string
	claims          jwt.MapClaims
	keyID           string // of the key that verified the signature
	issued, expires time.Time
}

// imported tells whether another server issued the token.
func (t *parsedToken) imported() bool { return t.claims != nil && t.session == "" }

// parseToken reads a token of either form. The signature and the times of a JWT are verified. An opaque token is valid if
// the store finds it.
func (s *Server) parseToken(ctx context.Context, raw string) (*parsedToken, error) {
	t := &parsedToken{raw: raw, kind: KindRefresh}
	if looksLikeJWT(raw) {
		var err error
		if t, err = s.verifyJWT(ctx, raw); err != nil {
			return nil, err
		}
	} else {
		t.session = opaqueSession(raw)
	}
	t.signature = s.signature(t)
	return t, nil
}

// Inspect checks a token of any kind: its signature, its times, and whether the store still has it. It costs one round trip
// to the store. ErrTokenInvalid and ErrTokenExpired say that the token is not valid. Any other error says that the server
// cannot tell; it wraps fosite.ErrTemporarilyUnavailable if the store does not answer.
func (s *Server) Inspect(ctx context.Context, token string) (*Token, error) {
	if !tokenCharacters(token) {
		return nil, ErrTokenInvalid
	}
	t, err := s.parseToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if t.imported() {
		return s.inspectImported(ctx, t)
	}
	return s.inspectStored(ctx, t)
}

// inspectStored looks a token up in the store.
func (s *Server) inspectStored(ctx context.Context, t *parsedToken) (*Token, error) {
	lookUp := s.config.Storage.GetAccessTokenSession
	if t.kind == KindRefresh {
		lookUp = s.config.Storage.GetRefreshTokenSession
	}
	session := &Session{}
	req, err := lookUp(ctx, t.signature, session)
	switch {
	case isUnavailable(err):
		return nil, err
	case errors.Is(err, fosite.ErrNotFound), errors.Is(err, fosite.ErrInactiveToken):
		return nil, ErrTokenInvalid
	case err != nil:
		return nil, err
	}
	found := &Token{
		Kind: t.kind, Subject: session.Subject, Client: req.GetClient().GetID(), Scopes: req.GetGrantedScopes(), Role: session.Role,
		Session: req.GetID(), Issued: req.GetRequestedAt(), Expires: session.GetExpiresAt(fosite.RefreshToken), signature: t.signature,
	}
	if t.claims == nil {
		if !s.config.Now().Before(found.Expires) {
			return nil, ErrTokenExpired
		}
		return found, nil
	}
	found.Legacy, found.Claims, found.Expires = t.legacy, t.claims, t.expires
	if !t.issued.IsZero() {
		found.Issued = t.issued
	}
	if scope, ok := t.claims["scope"].(string); ok {
		found.Scopes = strings.Fields(scope) // a refresh may have narrowed the scope of the session
	}
	return found, nil
}
