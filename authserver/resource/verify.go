package resource

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// clockSkew is how far the clocks of two servers may be apart.
const clockSkew = time.Minute

// parser leaves the times to verify, which tells an expired token from a forged one.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// errNoKey is a token whose key is not in the key set: a forged token, or one that was signed with a newer key.
var errNoKey = errors.New("resource: the key set has no such key")

// verify checks a token with the public keys (RFC 9068 section 4).
func (g *Guard) verify(ctx context.Context, token string) (*Claims, error) {
	if strings.Count(token, ".") != 2 {
		return nil, ErrInvalid
	}
	arrived := g.config.Now()
	keys, err := g.keys.recent(ctx)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(token, keys.verifying)
	// A token is refused for an unknown key only by a key set that was requested after the token came in.
	for errors.Is(err, errNoKey) && keys.requested.Before(arrived) {
		if keys, err = g.keys.newer(ctx, keys); err != nil {
			return nil, err
		}
		parsed, err = parser.Parse(token, keys.verifying)
	}
	if err != nil {
		return nil, ErrInvalid
	}
	claims, ok := parsed.Claims.(jwt.MapClaims)
	if !ok {
		return nil, ErrInvalid
	}
	c, err := g.readClaims(parsed.Header, claims)
	if err != nil {
		return nil, err
	}
	if !g.config.Now().Before(c.Expires) {
		return nil, ErrExpired
	}
	return c, nil
}

// verifying is a jwt.Keyfunc. The key says which algorithm it is for, not the token (RFC 8725 section 3.1).
func (k *keys) verifying(t *jwt.Token) (any, error) {
	for _, header := range []string{"crit", "b64"} {
		if _, ok := t.Header[header]; ok {
			return nil, ErrInvalid
		}
	}
	kid, named := t.Header["kid"].(string)
	if _, present := t.Header["kid"]; present && !named {
		return nil, ErrInvalid
	}
	var set jwt.VerificationKeySet
	for _, key := range k.list {
		// readClaims refuses a token without a kid unless it has the legacy profile.
		if algorithmOf(key) == t.Method.Alg() && (key.KeyID == kid || !named) {
			set.Keys = append(set.Keys, key.Key)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errNoKey
	}
	return set, nil
}

// algorithmOf returns the algorithm that a key is for, or "" for a key that no token may be signed with.
func algorithmOf(key jose.JSONWebKey) string {
	fits := ""
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			fits = "RS256"
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize == 256 {
			fits = "ES256"
		}
	case ed25519.PublicKey:
		fits = "EdDSA"
	}
	if key.Algorithm != "" && key.Algorithm != fits {
		return ""
	}
	return fits
}

// readClaims checks type, issuer, audience and times of a token whose signature is good.
func (g *Guard) readClaims(header map[string]any, claims jwt.MapClaims) (*Claims, error) {
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return nil, ErrInvalid
	}
	latest := g.config.Now().Add(clockSkew)
	notBefore, errBefore := claims.GetNotBefore()
	issued, errIssued := claims.GetIssuedAt()
	if errBefore != nil || errIssued != nil || notBefore != nil && notBefore.After(latest) || issued != nil && issued.After(latest) {
		return nil, ErrInvalid
	}
	c := &Claims{Expires: expires.Time, All: claims}
	if issued != nil {
		c.Issued = issued.Time
	}
	typ, _ := header["typ"].(string)
	_, named := header["kid"]
	switch typ = strings.ToLower(typ); {
	case (typ == "at+jwt" || typ == "application/at+jwt") && named:
		return c, g.readStandard(c, claims)
	case typ == "jwt" && g.config.Legacy && header["alg"] == "RS256":
		return c, g.readLegacy(c, claims)
	}
	return nil, ErrInvalid
}

// readStandard reads a token of RFC 9068.
func (g *Guard) readStandard(c *Claims, claims jwt.MapClaims) error {
	issuer, err := claims.GetIssuer()
	if err != nil || issuer != g.config.Issuer {
		return ErrInvalid
	}
	audience, err := claims.GetAudience()
	if err != nil || !slices.Contains(audience, g.config.Audience) {
		return ErrInvalid
	}
	if c.Subject, err = claims.GetSubject(); err != nil || c.Subject == "" {
		return ErrInvalid
	}
	c.readOptional(claims)
	return nil
}

// readLegacy reads a token of the legacy profile. Its sub says what kind it is; a refresh token differs in nothing else.
func (g *Guard) readLegacy(c *Claims, claims map[string]any) error {
	if claims["sub"] != "operation" {
		return ErrInvalid
	}
	switch user := claims["username"].(type) {
	case string:
		c.Subject = user
	case map[string]any: // the oldest tokens have the whole user record
		c.Subject, _ = user["username"].(string)
	}
	if c.Subject == "" {
		return ErrInvalid
	}
	// Few have an audience: those that were made from a token which had one.
	if audience := stringList(claims["aud"]); claims["aud"] != nil && !slices.Contains(audience, g.config.Audience) {
		return ErrInvalid
	}
	c.readOptional(claims)
	g.limitLegacy(c, claims)
	return nil
}

// limitLegacy gives a token of the legacy profile LegacyScopes, or those of them that the token names, if it names any.
func (g *Guard) limitLegacy(c *Claims, claims map[string]any) {
	c.Legacy = true
	if _, limited := claims["scope"]; !limited {
		c.Scopes = g.config.LegacyScopes
		return
	}
	c.Scopes = slices.DeleteFunc(c.Scopes, func(scope string) bool { return !slices.Contains(g.config.LegacyScopes, scope) })
}

// readOptional reads the claims that may be missing.
func (c *Claims) readOptional(claims map[string]any) {
	c.Client, _ = claims["client_id"].(string)
	c.Session, _ = claims["sid"].(string)
	c.ID, _ = claims["jti"].(string)
	c.SuperUser, _ = claims["super_user"].(bool)
	c.Role, _ = claims["role"].(string)
	scope, _ := claims["scope"].(string)
	c.Scopes = strings.Fields(scope)
}
