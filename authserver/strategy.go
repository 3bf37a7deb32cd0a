package authserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// strategy makes and checks tokens for fosite's handlers. The client's profile decides their form.
type strategy struct{ *Server }

var (
	_ oauth2.AccessTokenStrategy  = strategy{}
	_ oauth2.RefreshTokenStrategy = strategy{}
)

// AccessTokenSignature implements fosite's AccessTokenStrategy.
func (s strategy) AccessTokenSignature(_ context.Context, token string) string {
	return s.signatureOf(token)
}

// RefreshTokenSignature implements fosite's RefreshTokenStrategy.
func (s strategy) RefreshTokenSignature(_ context.Context, token string) string {
	return s.signatureOf(token)
}

// GenerateAccessToken implements fosite's AccessTokenStrategy.
func (s strategy) GenerateAccessToken(ctx context.Context, req fosite.Requester) (token, signature string, err error) {
	session, err := sessionFrom(req)
	if err != nil {
		return "", "", err
	}
	if policyOf(req.GetClient()).Legacy() {
		return s.signLegacy(ctx, req, session, legacyAccess, session.AccessExpires)
	}
	return s.signStandard(ctx, req, session)
}

// GenerateRefreshToken implements fosite's RefreshTokenStrategy: a JWT for the legacy profile, otherwise 256 random bits
// behind the session's ID.
func (s strategy) GenerateRefreshToken(ctx context.Context, req fosite.Requester) (token, signature string, err error) {
	session, err := sessionFrom(req)
	if err != nil {
		return "", "", err
	}
	if policyOf(req.GetClient()).Legacy() {
		return s.signLegacy(ctx, req, session, legacyRefresh, session.RefreshExpires)
	}
	token = req.GetID() + "." + random(32)
	return token, s.config.Storage.TokenSignature(req.GetID(), token), nil
}

// ValidateAccessToken implements fosite's AccessTokenStrategy.
func (s strategy) ValidateAccessToken(ctx context.Context, _ fosite.Requester, token string) error {
	_, err := s.verify(ctx, token)
	return fositeError(err)
}

// ValidateRefreshToken implements fosite's RefreshTokenStrategy. An opaque token needs no more than to be found: the store
// compares all of it.
func (s strategy) ValidateRefreshToken(ctx context.Context, req fosite.Requester, token string) error {
	if expires := req.GetSession().GetExpiresAt(fosite.RefreshToken); !expires.IsZero() && !s.config.Now().Before(expires) {
		return fosite.ErrTokenExpired
	}
	if !looksLikeJWT(token) {
		return nil
	}
	t, err := s.verify(ctx, token)
	if err == nil && t.kind != KindRefresh {
		err = ErrTokenInvalid
	}
	return fositeError(err)
}

func fositeError(err error) error {
	switch {
	case errors.Is(err, ErrTokenExpired):
		return fosite.ErrTokenExpired.WithWrap(err)
	case errors.Is(err, ErrTokenInvalid):
		return fosite.ErrInactiveToken.WithWrap(err)
	}
	return err
}

func sessionFrom(req fosite.Requester) (*Session, error) {
	session, ok := req.GetSession().(*Session)
	if !ok {
		return nil, fmt.Errorf("authserver: a session of type %T", req.GetSession())
	}
	return session, nil
}

// signStandard makes an access token of RFC 9068.
func (s strategy) signStandard(ctx context.Context, req fosite.Requester, session *Session) (token, signature string, err error) {
	subject := session.Subject
	if subject == "" {
		// RFC 9068 section 2.2: without a resource owner the subject is the client.
		subject = req.GetClient().GetID()
	}
	scopes := []string(req.GetGrantedScopes())
	if session.scopes != nil {
		scopes = session.scopes
	}
	claims := jwt.MapClaims{
		"iss": s.config.Issuer, "sub": subject, "client_id": req.GetClient().GetID(), "jti": random(16), "sid": req.GetID(),
		"iat": session.issued, "exp": session.AccessExpires, "aud": s.audience(req),
	}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	if session.LoggedIn > 0 {
		claims["auth_time"] = session.LoggedIn
	}
	token, err = s.sign(ctx, policyOf(req.GetClient()).SigningAlgorithm(), typeAccess, claims)
	if err != nil {
		return "", "", err
	}
	return token, s.config.Storage.TokenSignature(req.GetID(), token), nil
}

func (s strategy) audience(req fosite.Requester) any {
	switch granted := req.GetGrantedAudience(); len(granted) {
	case 0:
		return s.config.Audience
	case 1:
		return granted[0]
	default:
		return slices.Clone(granted)
	}
}

// signLegacy makes a token of the legacy profile: the claims that old resource servers read, and two that they ignore,
// without which two logins in one second were the same token and no session could be revoked.
func (s strategy) signLegacy(ctx context.Context, req fosite.Requester, session *Session, kind string, expires int64) (token, signature string, err error) {
	super, _ := session.claims["super_user"].(bool)
	claims := jwt.MapClaims{
		"username": session.Subject, "super_user": super, "sub": kind,
		"iat": session.issued, "exp": expires, "jti": random(16), "sid": req.GetID(),
	}
	if session.Role != "" {
		claims["role"] = session.Role
	}
	token, err = s.sign(ctx, policy.RS256, typeLegacy, claims)
	if err != nil {
		return "", "", err
	}
	return token, s.config.Storage.TokenSignature(req.GetID(), token), nil
}

func (s *Server) sign(ctx context.Context, algorithm, typ string, claims jwt.MapClaims) (string, error) {
	key, err := s.config.Keys.Signer(algorithm)
	if err != nil {
		return "", err
	}
	if exp, ok := claims["exp"].(int64); ok {
		if err := s.config.Keys.Note(ctx, key, time.Unix(exp, 0)); err != nil {
			return "", err
		}
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	t.Header["kid"], t.Header["typ"] = key.ID, typ
	input, err := t.SigningString()
	if err != nil {
		return "", fmt.Errorf("authserver: sign: %w", err)
	}
	signature, err := t.Method.Sign(input, key.Private)
	if err != nil {
		return "", fmt.Errorf("authserver: sign: %w", err)
	}
	if algorithm == policy.ES256 {
		makeLow(signature)
	}
	return input + "." + t.EncodeSegment(signature), nil
}

// random returns n random bytes as base64url.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
