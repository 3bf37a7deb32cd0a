package authserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// issuedTokens are the tokens of one token response. As JSON, encrypted, they are kept for the grace of a rotation, and while it
// is in doubt.
type issuedTokens struct {
	Access  string   `json:"a"`
	Refresh string   `json:"r"` // empty if the response has none
	Expires int64    `json:"e"` // of the access token, in Unix seconds
	Scopes  []string `json:"s,omitempty"`

	accessSignature, refreshSignature string // their names in the store
	exchangedFor                      string // the issued_token_type of a token exchange (RFC 8693 section 2.2.1)
}

const (
	withRefreshToken    = true
	withoutRefreshToken = false
)

// mintTokens makes the tokens of a session and stores nothing. The client's profile decides their form.
func (s *Server) mintTokens(ctx context.Context, req fosite.Requester, session *Session, refresh bool) (issuedTokens, error) {
	tokens := issuedTokens{Expires: session.AccessExpires, Scopes: session.accessScopes(req)}
	var err error
	if tokens.Access, tokens.accessSignature, err = s.mintAccessToken(ctx, req, session); err != nil || !refresh {
		return tokens, err
	}
	tokens.Refresh, tokens.refreshSignature, err = s.mintRefreshToken(ctx, req, session)
	return tokens, err
}

// writeTokens writes a token response (RFC 6749 section 5.1).
func writeTokens(resp fosite.AccessResponder, tokens issuedTokens, now time.Time) {
	resp.SetAccessToken(tokens.Access)
	resp.SetTokenType("bearer")
	// Those of an earlier response may have expired. 0 would mean "never" to some clients.
	resp.SetExpiresIn(time.Duration(max(tokens.Expires-now.Unix(), 1)) * time.Second)
	resp.SetScopes(tokens.Scopes)
	if tokens.Refresh != "" {
		resp.SetExtra("refresh_token", tokens.Refresh)
	}
	if tokens.exchangedFor != "" {
		resp.SetExtra("issued_token_type", tokens.exchangedFor)
	}
}

// mintAccessToken makes an access token and its signature (its name in the store).
func (s *Server) mintAccessToken(ctx context.Context, req fosite.Requester, session *Session) (token, signature string, err error) {
	client := policyOf(req.GetClient())
	if client.Legacy() {
		token, _, err = s.mintLegacy(ctx, req, session, subAccess, session.AccessExpires, nil)
	} else {
		token, _, err = s.sign(ctx, client.SigningAlgorithm(), typAccess, s.accessClaims(req, session))
	}
	if err != nil {
		return "", "", err
	}
	return token, s.config.Storage.TokenSignature(req.GetID(), token), nil
}

// accessClaims are the claims of an access token of the standard profile (RFC 9068 section 2.2).
func (s *Server) accessClaims(req fosite.Requester, session *Session) jwt.MapClaims {
	subject := session.Subject
	if subject == "" {
		subject = req.GetClient().GetID() // RFC 9068 section 2.2: without a user the subject is the client
	}
	claims := jwt.MapClaims{
		"iss": s.config.Issuer, "sub": subject, "client_id": req.GetClient().GetID(), "jti": random(16), "sid": req.GetID(),
		"iat": session.issued, "exp": session.AccessExpires, "aud": s.audience(session, req),
	}
	if scopes := session.accessScopes(req); len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	if session.LoggedIn > 0 {
		claims["auth_time"] = session.LoggedIn
	}
	return claims
}

// mintRefreshToken makes a refresh token and its signature: a JWT for the legacy profile, otherwise an opaque one. Each has the
// next number of its session, by which the store knows used tokens; a JWT that does not rotate has none.
func (s *Server) mintRefreshToken(ctx context.Context, req fosite.Requester, session *Session) (token, signature string, err error) {
	number := uint32(1)
	if used := session.refreshToken; used != nil {
		number = used.number + 1 // one a second would take 136 years to come to 0 again
	}
	client := policyOf(req.GetClient())
	if !client.Legacy() {
		return s.config.Storage.NewRefreshToken(ctx, req.GetID(), number)
	}
	claims := jwt.MapClaims{claimNumber: number}
	if client.Static() {
		number, claims = 0, nil
	}
	token, keyID, err := s.mintLegacy(ctx, req, session, subRefresh, session.RefreshExpires, claims)
	if err != nil {
		return "", "", err
	}
	session.Key = hashKey(keyID)
	return token, s.config.Storage.RefreshSignature(req.GetID(), token, number), nil
}

// mintLegacy makes a token of the legacy profile, with more claims of its kind, and returns the ID of the key that signed it. Old
// resource servers read its claims except jti and sid: jti makes two tokens of one second different, and sid lets a session be
// revoked. A client that has scopes, and a session that was made from a limited token, get scope and aud too, which old servers
// ignore.
func (s *Server) mintLegacy(ctx context.Context, req fosite.Requester, session *Session, kind string, expires int64, more jwt.MapClaims) (token, keyID string, err error) {
	super, _ := session.claims["super_user"].(bool)
	claims := jwt.MapClaims{
		"username": session.Subject, "super_user": super, "sub": kind,
		"iat": session.issued, "exp": expires, "jti": random(16), "sid": req.GetID(),
	}
	maps.Copy(claims, more)
	if session.Role != "" {
		claims["role"] = session.Role
	}
	if kind == subAccess {
		scopes, targets := session.legacyLimits(req)
		if scopes != nil {
			claims["scope"] = strings.Join(scopes, " ")
		}
		if len(targets) > 0 {
			claims["aud"] = slices.Clone(targets)
		}
	}
	return s.sign(ctx, policy.RS256, typLegacy, claims)
}

// random returns n random bytes as base64url.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
