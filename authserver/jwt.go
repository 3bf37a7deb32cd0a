package authserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// The types of a JWT: in the header's typ (RFC 9068 section 2.1) and, for the legacy profile, in the claim sub.
const (
	typAccess  = "at+jwt"
	typLegacy  = "JWT"
	subAccess  = "operation"
	subRefresh = "refresh"
)

// clockSkew is how far the clocks of two servers may be apart.
const clockSkew = time.Minute

// sign makes a JWT with the key that signs now and returns the key's ID, and lets the key set note how long the token is valid.
func (s *Server) sign(ctx context.Context, algorithm, typ string, claims jwt.MapClaims) (token, keyID string, err error) {
	key, err := s.config.Keys.Signer(algorithm)
	if err != nil {
		return "", "", err
	}
	if exp, ok := claims["exp"].(int64); ok {
		if err := s.config.Keys.Note(ctx, key, time.Unix(exp, 0)); err != nil {
			return "", "", err
		}
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	t.Header["kid"], t.Header["typ"] = key.ID, typ
	input, err := t.SigningString()
	if err != nil {
		return "", "", fmt.Errorf("authserver: sign: %w", err)
	}
	signature, err := t.Method.Sign(input, key.Private)
	if err != nil {
		return "", "", fmt.Errorf("authserver: sign: %w", err)
	}
	if algorithm == policy.ES256 {
		makeLow(signature)
	}
	return input + "." + t.EncodeSegment(signature), key.ID, nil
}

// verifyJWT checks shape, algorithm, key, signature, type and times of a JWT, in this order.
func (s *Server) verifyJWT(ctx context.Context, raw string) (*parsedToken, error) {
	if !tokenCharacters(raw) {
		return nil, ErrTokenInvalid
	}
	if !s.config.Keys.Loaded() {
		return nil, keys.ErrNoKey
	}
	parsed, key, err := s.parseJWT(raw)
	if errors.Is(err, errNoKey) {
		// The key may be the newest one of another replica. Only the store can say that there is no such key.
		if err := s.config.Keys.Refresh(ctx); err != nil {
			return nil, err
		}
		parsed, key, err = s.parseJWT(raw)
	}
	if err != nil || parsed.Method.Alg() == policy.ES256 && !isLow(parsed.Signature) {
		return nil, ErrTokenInvalid
	}
	t, err := s.readClaims(parsed, key)
	if err != nil {
		return nil, err
	}
	if !s.config.Now().Before(t.expires) {
		return nil, ErrTokenExpired
	}
	return t, nil
}

var errNoKey = errors.New("authserver: no key of that name")

// parser leaves the times to verifyJWT, which tells an expired token from a forged one.
var parser = jwt.NewParser(
	jwt.WithValidMethods(policy.Algorithms()),
	jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// parseJWT verifies the signature of a JWT, and returns the key that did.
func (s *Server) parseJWT(raw string) (*jwt.Token, *keys.Key, error) {
	var candidates []*keys.Key
	parsed, err := parser.Parse(raw, func(t *jwt.Token) (any, error) {
		// RFC 7515 section 4.1.11: an unknown critical header makes a token invalid, and this server knows none.
		for _, header := range []string{"crit", "b64"} {
			if _, ok := t.Header[header]; ok {
				return nil, ErrTokenInvalid
			}
		}
		kid, ok := t.Header["kid"].(string)
		if _, present := t.Header["kid"]; present && !ok {
			return nil, ErrTokenInvalid
		}
		// RFC 8725 section 3.1: the key says which algorithm it is for, not the token.
		var set jwt.VerificationKeySet
		for _, k := range s.config.Keys.Verifiers(kid) {
			if k.Algorithm == t.Method.Alg() {
				candidates, set.Keys = append(candidates, k), append(set.Keys, k.Public)
			}
		}
		if len(set.Keys) == 0 {
			return nil, errNoKey
		}
		return set, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return parsed, verifiedBy(parsed, candidates), nil
}

// verifiedBy returns the one of the keys that verifies a token. One of them does. The parser has tried them in order and does not
// say which it was.
func verifiedBy(parsed *jwt.Token, candidates []*keys.Key) *keys.Key {
	last := len(candidates) - 1
	input := parsed.Raw[:strings.LastIndexByte(parsed.Raw, '.')]
	for _, k := range candidates[:last] {
		if parsed.Method.Verify(input, parsed.Signature, k.Public) == nil {
			return k
		}
	}
	return candidates[last]
}

// readClaims reads type, session, subject and times of a JWT whose signature is good. The header says which profile a token
// has, so that a token of one profile is never taken for the other.
func (s *Server) readClaims(parsed *jwt.Token, key *keys.Key) (*parsedToken, error) {
	claims, ok := parsed.Claims.(jwt.MapClaims)
	if !ok {
		return nil, ErrTokenInvalid
	}
	t := &parsedToken{raw: parsed.Raw, claims: claims, keyID: key.ID}
	if err := s.readTimes(t); err != nil {
		return nil, err
	}
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
	case typ == typAccess:
		if issuer, err := claims.GetIssuer(); err != nil || issuer != s.config.Issuer {
			return nil, ErrTokenInvalid
		}
		t.kind, t.subject = KindAccess, subject
	case typ == typLegacy && subject == subAccess:
		t.kind, t.legacy, t.subject = KindAccess, true, legacySubject(claims)
	case typ == typLegacy && subject == subRefresh:
		t.kind, t.legacy, t.subject = KindRefresh, true, legacySubject(claims)
		if t.session != "" && !t.readNumber() {
			return nil, ErrTokenInvalid
		}
	default:
		return nil, ErrTokenInvalid
	}
	if t.legacy && t.subject == "" || !t.legacy && t.session == "" || !s.mayHaveSigned(key, t) {
		return nil, ErrTokenInvalid
	}
	return t, nil
}

// mayHaveSigned tells whether tokens of this kind are signed by the key. This server puts the session into each token, and the
// old server into none: a token without a session is from the old server, whose keys were imported, and a key that never signs
// here has signed none with a session. Anything else was forged by someone who has the key.
func (s *Server) mayHaveSigned(key *keys.Key, t *parsedToken) bool {
	if t.session == "" {
		return s.config.Keys.AcceptsImported(key)
	}
	return !key.VerifyOnly
}

// readTimes reads iat, nbf and exp. A token without iat has a zero time; one without exp is invalid.
func (s *Server) readTimes(t *parsedToken) error {
	expires, errExpires := t.claims.GetExpirationTime()
	notBefore, errNotBefore := t.claims.GetNotBefore()
	issued, errIssued := t.claims.GetIssuedAt()
	if errExpires != nil || errNotBefore != nil || errIssued != nil || expires == nil {
		return ErrTokenInvalid
	}
	latest := s.config.Now().Add(clockSkew)
	if notBefore != nil && notBefore.After(latest) || issued != nil && issued.After(latest) {
		return ErrTokenInvalid
	}
	t.expires = expires.Time
	if issued != nil {
		t.issued = issued.Time
	}
	return nil
}

// legacySubject reads the user name of a token of the legacy profile. The oldest tokens have the whole user record instead.
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
