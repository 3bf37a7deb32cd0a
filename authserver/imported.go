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

// revokedID is the ID, in the same register, of an imported refresh token that was revoked.
func revokedID(t *parsedToken) string { return "revoked\x00" + t.raw }

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
		Kind: t.kind, Legacy: true, Subject: t.subject, Issued: t.issued, Expires: t.expires, Claims: t.claims, signature: t.signature,
		parsed: t, limit: limit{Scopes: all, Targets: all}, loggedIn: t.issued.Unix(), madeFrom: appendMissing(nil, t.keyID),
	}
	found.Role, _ = t.claims["role"].(string)
	return found, nil
}

// openImported opens the session of an imported refresh token at its first use. The refresh grant then finds it like any
// other session.
//
// It is a unit of work of its own: in that of the request the store would wait for the commit of the whole grant, and without
// one a session would be opened whose user's tokens were ended after they were checked.
func (s *Server) openImported(ctx context.Context, req fosite.AccessRequester, t *parsedToken) error {
	_, err := s.config.Storage.GetRefreshTokenSession(ctx, t.signature, nil)
	if !isNotFound(err) {
		return err // found, or unavailable
	}
	client := policyOf(req.GetClient())
	if !client.Legacy() || !req.GetClient().GetGrantTypes().Has(policy.GrantRefreshToken) {
		return ErrTokenInvalid
	}
	own, err := s.config.Storage.BeginTX(context.Background())
	if err != nil {
		return err
	}
	if err := s.withoutPlace(ctx, req, func() error { return s.checkUnused(own, t) }); err != nil {
		return errors.Join(err, s.config.Storage.Rollback(own))
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
	if err := s.config.Storage.CreateRefreshTokenSession(own, t.signature, "", opened); err != nil {
		return errors.Join(err, s.config.Storage.Rollback(own))
	}
	err = s.config.Storage.Commit(own)
	if isNotFound(err) {
		return ErrTokenInvalid // the user has changed since the token was checked
	}
	if err != nil {
		return err
	}
	// The session is stored before its ID is marked as used: a crash between the two loses no token.
	err = s.markOpened(t)
	if !errors.Is(err, fosite.ErrJTIKnown) {
		return err
	}
	// Another request has opened the same session at the same time, or the token was revoked since it was checked.
	err = s.config.Storage.ClientAssertionJWTValid(context.Background(), revokedID(t))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return errors.Join(ErrTokenInvalid, s.config.Storage.RevokeSession(context.Background(), opened.GetID()))
	}
	return err
}

// withoutPlace calls f, which may wait for a hash, without the place that the request has among the admitted ones: when thousands
// of imported tokens are used for the first time, other refreshes must go on.
func (s *Server) withoutPlace(ctx context.Context, req fosite.AccessRequester, f func() error) error {
	session, ok := req.GetSession().(*Session)
	if !ok || session.place == nil {
		return f()
	}
	session.place.Leave()
	if err := f(); err != nil {
		return err
	}
	var err error
	*session.place, err = s.config.Admission.Continue(ctx)
	return err
}

// markOpened notes that an imported refresh token has had its session. fosite.ErrJTIKnown: that is noted already.
func (s *Server) markOpened(t *parsedToken) error {
	return s.config.Storage.SetClientAssertionJWT(context.Background(), importedID(t), t.expires.Add(time.Minute))
}

// revokeUnopened keeps an imported refresh token from opening a session, also in requests that have checked it before, and ends
// the session if there is one.
func (s *Server) revokeUnopened(ctx context.Context, t *parsedToken) error {
	err := s.config.Storage.SetClientAssertionJWT(ctx, revokedID(t), t.expires.Add(time.Minute))
	if err == nil || errors.Is(err, fosite.ErrJTIKnown) {
		err = s.markOpened(t)
	}
	if err == nil || errors.Is(err, fosite.ErrJTIKnown) {
		err = s.config.Storage.RevokeSession(ctx, s.config.Storage.ImportedSessionID(t.subject, t.raw))
	}
	return err
}
