package authserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// inherited asks whether a token of another server, whose signature has been checked, is still to be honoured.
func (s *Server) inherited(ctx context.Context, token string, t *jwtToken) error {
	i, ok := s.config.Users.(ImportedTokens)
	if !ok {
		return ErrTokenInvalid
	}
	issued, err := t.claims.GetIssuedAt()
	if err != nil || issued == nil {
		return ErrTokenInvalid
	}
	if t.kind != KindRefresh {
		token = ""
	}
	err = i.ImportedTokenValid(ctx, t.subject, issued.Time, token)
	if errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return ErrTokenInvalid
	}
	return err
}

// inspectInherited is Inspect for a token of another server. An access token of its has no session here. A refresh token
// has one from its first use on, which can be listed and revoked like any other.
func (s *Server) inspectInherited(ctx context.Context, token string, t *jwtToken) (*Token, error) {
	if t.kind == KindRefresh {
		found, err := s.inspectStored(ctx, token, KindRefresh, t)
		if err == nil || !errors.Is(err, ErrTokenInvalid) {
			return found, err
		}
		if err := s.adoptable(ctx, token, t); err != nil {
			return nil, err
		}
	} else if err := s.inherited(ctx, token, t); err != nil {
		return nil, err
	}
	found := &Token{Kind: t.kind, Legacy: true, Subject: t.subject, Expires: t.expires, Claims: t.claims}
	found.Role, _ = t.claims["role"].(string)
	if issued, err := t.claims.GetIssuedAt(); err == nil && issued != nil {
		found.Issued = issued.Time
	}
	return found, nil
}

// adoptable: a refresh token is adopted once. Its session may have ended since, and must not come back.
func (s *Server) adoptable(ctx context.Context, token string, t *jwtToken) error {
	if err := s.inherited(ctx, token, t); err != nil {
		return err
	}
	err := s.config.Storage.ClientAssertionJWTValid(ctx, adopted(token))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return ErrTokenInvalid
	}
	return err
}

// adopted names a token in the register of what may be used once, which hashes its names.
func adopted(token string) string { return "adopted\x00" + token }

// adopt opens the session of another server's refresh token when it is presented for the first time. The grant that follows
// finds it like one of ours.
func (s *Server) adopt(ctx context.Context, req fosite.AccessRequester, token string, t *jwtToken) error {
	signature := s.signatureOf(token)
	_, err := s.config.Storage.GetRefreshTokenSession(ctx, signature, nil)
	if err == nil || !errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	if !policyOf(req.GetClient()).Legacy() || !req.GetClient().GetGrantTypes().Has(policy.GrantRefreshToken) {
		return ErrTokenInvalid
	}
	if err := s.adoptable(ctx, token, t); err != nil {
		return err
	}
	session := &Session{Subject: t.subject, RefreshExpires: t.expires.Unix(), AccessExpires: s.config.Now().Unix()}
	session.Role, _ = t.claims["role"].(string)
	if origin, ok := req.GetSession().(*Session); ok {
		session.address, session.userAgent = origin.address, origin.userAgent
	}
	opened := fosite.NewRequest()
	opened.Client, opened.Session = req.GetClient(), session
	opened.SetID(s.config.Storage.ImportedSessionID(t.subject, token))
	for _, scope := range policyOf(req.GetClient()).DefaultScopes {
		opened.GrantScope(scope)
	}
	// Written at once, whatever becomes of the grant: in the request's own context the store would keep it back.
	at := context.Background()
	if err := s.config.Storage.CreateRefreshTokenSession(at, signature, "", opened); err != nil {
		return err
	}
	// The session first, the mark behind it: cut off between the two, the token is not lost.
	err = s.config.Storage.SetClientAssertionJWT(at, adopted(token), t.expires.Add(time.Minute))
	if errors.Is(err, fosite.ErrJTIKnown) {
		return nil // a request beside this one adopted the same session
	}
	return err
}

// inheritedSubject reads whose a token without a session is, before anybody has verified it.
func inheritedSubject(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims jwt.MapClaims
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return legacySubject(claims)
}
