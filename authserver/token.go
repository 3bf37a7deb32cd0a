package authserver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/policy"
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
	parsed    *parsedToken

	// For a session that is made from the token.
	limit    limit
	loggedIn int64
	madeFrom []string // keys that signed the token, and those before it
}

// parsedToken is a token that came with a request. It is verified once and named once, here; all later steps of the request
// read this value.
type parsedToken struct {
	raw       string
	signature string // the token's name in the store; empty if it cannot be a token of this server
	kind      TokenKind
	session   string // empty for an imported token
	number    uint32 // of a refresh token among those of its session; 0 if it has none

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
// the store finds it; its number is authenticated.
func (s *Server) parseToken(ctx context.Context, raw string) (*parsedToken, error) {
	if looksLikeJWT(raw) {
		t, err := s.verifyJWT(ctx, raw)
		if err == nil {
			t.signature = s.signature(t)
		}
		return t, err
	}
	t := &parsedToken{raw: raw, kind: KindRefresh}
	var err error
	t.session, t.signature, t.number, err = s.config.Storage.ParseRefreshToken(ctx, raw)
	return t, err
}

// Inspect checks a token of any kind: its signature, its times, and whether the store still has it. It costs one round trip
// to the store. ErrTokenInvalid and ErrTokenExpired say that the token is not valid. Any other error says that the server
// cannot tell; it wraps fosite.ErrTemporarilyUnavailable if the store does not answer.
//
// It passes Config.Admission.
func (s *Server) Inspect(ctx context.Context, token string) (*Token, error) {
	ticket, err := s.config.Admission.Enter(ctx, admission.First)
	if err != nil {
		return nil, err
	}
	defer ticket.Leave()
	return s.inspectToken(ctx, token)
}

// inspectToken is Inspect within a request that has been admitted. One that waited for a second place could wait for itself.
func (s *Server) inspectToken(ctx context.Context, token string) (*Token, error) {
	if !tokenCharacters(token) {
		return nil, ErrTokenInvalid
	}
	t, err := s.parseToken(ctx, token)
	if err != nil {
		return nil, err
	}
	return s.inspect(ctx, t)
}

func (s *Server) inspect(ctx context.Context, t *parsedToken) (*Token, error) {
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
	if err := s.checkKeys(ctx, session); err != nil {
		return nil, err
	}
	client, err := withPolicy(req.GetClient())
	if err != nil {
		return nil, err
	}
	found := &Token{
		parsed: t, loggedIn: session.LoggedIn, madeFrom: session.MadeFrom,
		Kind: t.kind, Subject: session.Subject, Client: req.GetClient().GetID(), Scopes: req.GetGrantedScopes(), Role: session.Role,
		Session: req.GetID(), Issued: req.GetRequestedAt(), Expires: session.GetExpiresAt(fosite.RefreshToken), signature: t.signature,
	}
	if t.claims == nil {
		if !s.config.Now().Before(found.Expires) {
			return nil, ErrTokenExpired
		}
		found.limit = s.limitOf(found, client.Policy(), req)
		return found, nil
	}
	found.madeFrom = appendMissing(session.MadeFrom, t.keyID)
	found.Legacy, found.Claims, found.Expires = t.legacy, t.claims, t.expires
	if !t.issued.IsZero() {
		found.Issued = t.issued
	}
	if found.loggedIn == 0 {
		found.loggedIn = found.Issued.Unix() // another server issued the token; the login was not later
	}
	if scope, ok := t.claims["scope"].(string); ok {
		// A refresh may have narrowed the scope of the session. It cannot have widened it.
		granted := most{List: req.GetGrantedScopes()}
		if len(granted.List) == 0 && session.Limit != nil {
			granted = session.Limit.Scopes
		}
		found.Scopes = granted.and(strings.Fields(scope))
	}
	found.limit = s.limitOf(found, client.Policy(), req)
	return found, nil
}

// limitOf returns what a session may have that is made from the token. Scopes and audience limit a token of the standard
// profile. One of the legacy profile does all that its user may do, unless its client has scopes, its request named a target,
// or its session was made from a limited token.
func (s *Server) limitOf(t *Token, client policy.Client, req fosite.Requester) limit {
	if !client.Legacy() {
		return limit{Scopes: most{List: t.Scopes}, Targets: narrowed(most{List: s.sessionTargets(req)}, t.parsed)}
	}
	l := limit{Scopes: all, Targets: all}
	if session, ok := req.GetSession().(*Session); ok && session.Limit != nil {
		l = *session.Limit
	}
	if len(client.Scopes) > 0 || len(req.GetGrantedScopes()) > 0 {
		l.Scopes = most{List: t.Scopes}
	}
	if granted := req.GetGrantedAudience(); len(granted) > 0 {
		l.Targets = most{List: granted}
	}
	l.Targets = narrowed(l.Targets, t.parsed)
	return l
}

// narrowed returns the targets of a session that a token of it is for: a refresh may have asked for fewer.
func narrowed(targets most, t *parsedToken) most {
	audience, err := t.claims.GetAudience()
	if err != nil || len(audience) == 0 {
		return targets
	}
	return most{List: targets.and(audience)}
}

// checkKeys returns ErrTokenInvalid if a key was withdrawn that signed a token which the session was made from. A key leaves
// the set for other reasons only after its last token has expired.
func (s *Server) checkKeys(ctx context.Context, session *Session) error {
	withdrawn := func(kid string) bool { return len(s.config.Keys.Verifiers(kid)) == 0 }
	if !slices.ContainsFunc(session.MadeFrom, withdrawn) {
		return nil
	}
	// The key may be the newest one of another replica.
	if err := s.config.Keys.Refresh(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(session.MadeFrom, withdrawn) {
		return ErrTokenInvalid
	}
	return nil
}

func appendMissing(list []string, value string) []string {
	if value == "" || slices.Contains(list, value) {
		return list
	}
	return append(slices.Clone(list), value)
}
