package authserver

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// An imported token was issued by another server, whose signing key was imported. It names no session of this server. An
// access token never gets one. A refresh token gets a session at its first use, which can be listed and revoked like any
// other.

// checkImported asks whether an imported token, whose signature is good, is still accepted.
func (s *Server) checkImported(ctx context.Context, t *parsedToken) error {
	users, ok := s.config.Users.(ImportedTokens)
	if !ok || t.issued.IsZero() {
		return ErrTokenInvalid
	}
	refresh := ""
	if t.kind == KindRefresh {
		refresh = t.raw
	}
	err := users.ImportedTokenValid(ctx, t.subject, t.issued, refresh)
	if isNotFound(err) {
		return ErrTokenInvalid
	}
	return err
}

// checkUnused asks whether an imported refresh token is accepted and has had no session yet. A session is opened once: it
// may have ended since, and must not come back.
func (s *Server) checkUnused(ctx context.Context, t *parsedToken) error {
	if err := s.checkImported(ctx, t); err != nil {
		return err
	}
	err := s.config.Storage.ClientAssertionJWTValid(ctx, importedID(t))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return ErrTokenInvalid
	}
	return err
}

// importedID is the ID of an imported token in the store's register of IDs that are used once. The store hashes it.
func importedID(t *parsedToken) string { return "adopted\x00" + t.raw }

// inspectImported is Inspect for an imported token.
func (s *Server) inspectImported(ctx context.Context, t *parsedToken) (*Token, error) {
	if t.kind == KindRefresh {
		found, err := s.inspectStored(ctx, t)
		if err == nil || !errors.Is(err, ErrTokenInvalid) {
			return found, err
		}
		if err := s.checkUnused(ctx, t); err != nil {
			return nil, err
		}
	} else if err := s.checkImported(ctx, t); err != nil {
		return nil, err
	}
	found := &Token{
		parsed: t, limit: limit{Scopes: all, Targets: all}, loggedIn: t.issued.Unix(), madeFrom: appendMissing(nil, t.keyID), Kind: t.kind, Legacy: true, Subject: t.subject, Issued: t.issued, Expires: t.expires, Claims: t.claims, signature: t.signature,
	}
	found.Role, _ = t.claims["role"].(string)
	return found, nil
}

// openImported opens the session of an imported refresh token at its first use. The refresh grant then finds it like any
// other session.
func (s *Server) openImported(ctx context.Context, req fosite.AccessRequester, t *parsedToken) error {
	_, err := s.config.Storage.GetRefreshTokenSession(ctx, t.signature, nil)
	if !isNotFound(err) {
		return err // found, or unavailable
	}
	client := policyOf(req.GetClient())
	if !client.Legacy() || !req.GetClient().GetGrantTypes().Has(policy.GrantRefreshToken) {
		return ErrTokenInvalid
	}
	if err := s.checkUnused(ctx, t); err != nil {
		return err
	}
	session := &Session{Subject: t.subject, RefreshExpires: t.expires.Unix(), AccessExpires: s.config.Now().Unix()}
	session.Ends, session.MadeFrom = t.expires.Unix(), appendMissing(nil, t.keyID)
	session.Role, _ = t.claims["role"].(string)
	if current, ok := req.GetSession().(*Session); ok {
		session.address, session.userAgent = current.address, current.userAgent
	}
	opened := fosite.NewRequest()
	opened.Client, opened.Session = req.GetClient(), session
	opened.SetID(s.config.Storage.ImportedSessionID(t.subject, t.raw))
	for _, scope := range client.DefaultScopes {
		opened.GrantScope(scope)
	}
	// A context of its own: in the request's context the store would wait for the commit of the whole grant.
	background := context.Background()
	if err := s.config.Storage.CreateRefreshTokenSession(background, t.signature, "", opened); err != nil {
		return err
	}
	// The session is stored before its ID is marked as used: a crash between the two loses no token.
	err = s.config.Storage.SetClientAssertionJWT(background, importedID(t), t.expires.Add(time.Minute))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return nil // another request opened the same session at the same time
	}
	return err
}
