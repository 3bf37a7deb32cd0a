package authserver

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// TokenKind tells access from refresh tokens.
type TokenKind string

// The uses of a token.
const (
	KindAccess  TokenKind = "access_token"
	KindRefresh TokenKind = "refresh_token"
)

// maxToken bounds what is looked at as a token at all. An RS256 token with 4096 bits and our claims has 1.2 kB.
const maxToken = 8 << 10

// The types of JWT, in the header's typ (RFC 9068 section 2.1) and, for the legacy profile, in the claim sub.
const (
	typeAccess    = "at+jwt"
	typeLegacy    = "JWT"
	legacyAccess  = "operation"
	legacyRefresh = "refresh"
)

// Errors of a token that is not good. Both are verdicts; anything else that a check returns is a don't-know.
var (
	// ErrTokenInvalid is a token that is not ours, altered, revoked, or of a session that has ended.
	ErrTokenInvalid = errors.New("authserver: token is not valid")
	// ErrTokenExpired is a token of ours whose time is over.
	ErrTokenExpired = errors.New("authserver: token is expired")
)

// jwtToken is a JWT whose signature has been checked, and nothing else.
type jwtToken struct {
	kind    TokenKind
	legacy  bool
	session string // empty in tokens of another server that was imported
	subject string
	claims  jwt.MapClaims
	expires time.Time
}

// tokenCharacters are those of base64url and of the dots between: one spelling for each token. Anything else that a lax
// decoder would skip (line ends, padding) makes it another string, and no token.
func tokenCharacters(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}

// opaqueLength is that of an opaque refresh token behind the session's ID: 256 bits as base64url.
const opaqueLength = 43

// looksLikeJWT tells JWTs from opaque refresh tokens by their shape alone.
func looksLikeJWT(token string) bool { return strings.Count(token, ".") == 2 }

// verify checks shape, algorithm, key, signature and type of a JWT, then its time. ErrTokenExpired comes with the token.
func (s *Server) verify(ctx context.Context, token string) (*jwtToken, error) {
	if !tokenCharacters(token) || !looksLikeJWT(token) {
		return nil, ErrTokenInvalid
	}
	if !s.config.Keys.Loaded() {
		return nil, keys.ErrNoKey
	}
	parsed, err := s.parse(token)
	if errors.Is(err, errNoKey) {
		// It may be another replica's newest key, which is a verdict only when the store says so.
		if err := s.config.Keys.Refresh(ctx); err != nil {
			return nil, err
		}
		parsed, err = s.parse(token)
	}
	if err != nil || parsed.Method.Alg() == policy.ES256 && !isLow(parsed.Signature) {
		return nil, ErrTokenInvalid
	}
	t, err := s.classify(parsed)
	if err != nil {
		return nil, err
	}
	if !s.config.Now().Before(t.expires) {
		return t, ErrTokenExpired
	}
	return t, nil
}

var errNoKey = errors.New("authserver: no key of that name")

// parser checks no times: classify does, because an expired token must still be told from a forged one.
var parser = jwt.NewParser(
	jwt.WithValidMethods(policy.Algorithms()),
	jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

func (s *Server) parse(token string) (*jwt.Token, error) {
	return parser.Parse(token, func(t *jwt.Token) (any, error) {
		// RFC 8725 section 3.1: the key says which algorithm it is for, not the token. RFC 7515 section 4.1.11: an unknown
		// critical header makes a token invalid; we know none.
		if _, ok := t.Header["crit"]; ok {
			return nil, ErrTokenInvalid
		}
		if _, ok := t.Header["b64"]; ok {
			return nil, ErrTokenInvalid
		}
		kid, ok := t.Header["kid"].(string)
		if _, present := t.Header["kid"]; present && !ok {
			return nil, ErrTokenInvalid
		}
		var set jwt.VerificationKeySet
		for _, k := range s.config.Keys.Verifiers(kid) {
			if k.Algorithm == t.Method.Alg() {
				set.Keys = append(set.Keys, k.Public)
			}
		}
		if len(set.Keys) == 0 {
			return nil, errNoKey
		}
		return set, nil
	})
}

// classify reads type, session and times. The type is in the header, and a token of one profile is never taken for the other.
func (s *Server) classify(parsed *jwt.Token) (*jwtToken, error) {
	claims, ok := parsed.Claims.(jwt.MapClaims)
	if !ok {
		return nil, ErrTokenInvalid
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return nil, ErrTokenInvalid
	}
	now := s.config.Now()
	if nbf, err := claims.GetNotBefore(); err != nil || nbf != nil && nbf.After(now.Add(clockSkew)) {
		return nil, ErrTokenInvalid
	}
	if iat, err := claims.GetIssuedAt(); err != nil || iat != nil && iat.After(now.Add(clockSkew)) {
		return nil, ErrTokenInvalid
	}
	t := &jwtToken{claims: claims, expires: expires.Time}
	if sid, present := claims["sid"]; present {
		if t.session, _ = sid.(string); t.session == "" {
			return nil, ErrTokenInvalid
		}
	}
	subject, err := claims.GetSubject()
	if err != nil {
		return nil, ErrTokenInvalid
	}
	typ, _ := parsed.Header["typ"].(string)
	switch {
	case typ == typeAccess:
		if issuer, err := claims.GetIssuer(); err != nil || issuer != s.config.Issuer {
			return nil, ErrTokenInvalid
		}
		t.kind, t.subject = KindAccess, subject
	case typ == typeLegacy && subject == legacyAccess:
		t.kind, t.legacy, t.subject = KindAccess, true, legacySubject(claims)
	case typ == typeLegacy && subject == legacyRefresh:
		t.kind, t.legacy, t.subject = KindRefresh, true, legacySubject(claims)
	default:
		return nil, ErrTokenInvalid
	}
	if t.legacy && t.subject == "" || !t.legacy && t.session == "" {
		return nil, ErrTokenInvalid
	}
	return t, nil
}

// clockSkew is how far the clocks of two servers may be apart.
const clockSkew = time.Minute

// legacySubject reads the user name: a string, or in old tokens the whole user record.
func legacySubject(claims jwt.MapClaims) string {
	switch u := claims["username"].(type) {
	case string:
		return u
	case map[string]any:
		name, _ := u["username"].(string)
		return name
	}
	return ""
}

// sessionOf reads the session of a token that nobody has verified: enough to find the record that will be compared.
func sessionOf(token string) string {
	if !tokenCharacters(token) {
		return ""
	}
	first, rest, ok := strings.Cut(token, ".")
	if !ok {
		return ""
	}
	if !looksLikeJWT(token) {
		if len(rest) != opaqueLength || strings.Contains(rest, ".") {
			return ""
		}
		return first
	}
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims struct {
		Session string `json:"sid"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Session
}

// signatureOf names a token in the store, or "" for what cannot be one of ours: a store answers that without Redis.
func (s *Server) signatureOf(token string) string {
	session := sessionOf(token)
	if session == "" {
		subject := inheritedSubject(token)
		if subject == "" {
			return ""
		}
		session = s.config.Storage.ImportedSessionID(subject, token)
	}
	return s.config.Storage.TokenSignature(session, token)
}

// ttl returns how long tokens of the client are valid from now on.
func (s *Server) ttl(client policy.Client) (access, refresh time.Duration) {
	access = cmp.Or(client.AccessTTL, s.config.AccessTTL)
	if access == 0 {
		access = defaultAccessTTL
		if client.Legacy() {
			access = defaultLegacyAccessTTL
		}
	}
	return access, cmp.Or(client.RefreshTTL, s.config.RefreshTTL, defaultRefreshTTL)
}
