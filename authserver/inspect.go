package authserver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ory/fosite"
)

// Token is what a good token says.
type Token struct {
	Kind    TokenKind
	Legacy  bool
	Subject string // empty for a client's own token
	Client  string
	Scopes  []string
	// Role is the role that a login of the legacy profile asked for.
	Role    string
	Session string
	Expires time.Time
	Issued  time.Time
	// Claims are all claims of a JWT, nil for an opaque token. They must not be changed.
	Claims map[string]any
}

// Inspect checks a token of any kind, signature and store, in one round trip. ErrTokenInvalid and ErrTokenExpired are
// verdicts; every other error is a don't-know.
func (s *Server) Inspect(ctx context.Context, token string) (*Token, error) {
	if !tokenCharacters(token) {
		return nil, ErrTokenInvalid
	}
	if !looksLikeJWT(token) {
		return s.inspectStored(ctx, token, KindRefresh, nil)
	}
	t, err := s.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if t.session == "" {
		return s.inspectInherited(ctx, token, t)
	}
	return s.inspectStored(ctx, token, t.kind, t)
}

func (s *Server) inspectStored(ctx context.Context, token string, kind TokenKind, verified *jwtToken) (*Token, error) {
	lookup := s.config.Storage.GetAccessTokenSession
	if kind == KindRefresh {
		lookup = s.config.Storage.GetRefreshTokenSession
	}
	session := &Session{}
	req, err := lookup(ctx, s.signatureOf(token), session)
	switch {
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return nil, err
	case errors.Is(err, fosite.ErrNotFound), errors.Is(err, fosite.ErrInactiveToken):
		return nil, ErrTokenInvalid
	case err != nil:
		return nil, err
	}
	t := &Token{
		Kind: kind, Subject: session.Subject, Client: req.GetClient().GetID(), Scopes: req.GetGrantedScopes(), Role: session.Role,
		Session: req.GetID(), Issued: req.GetRequestedAt(), Expires: session.GetExpiresAt(fosite.RefreshToken),
	}
	if verified != nil {
		t.Legacy, t.Claims, t.Expires = verified.legacy, verified.claims, verified.expires
		if issued, err := verified.claims.GetIssuedAt(); err == nil && issued != nil {
			t.Issued = issued.Time
		}
		if scope, ok := verified.claims["scope"].(string); ok {
			t.Scopes = strings.Fields(scope) // a refresh may have asked for less than the session has
		}
	} else if !s.config.Now().Before(t.Expires) {
		return nil, ErrTokenExpired
	}
	return t, nil
}
