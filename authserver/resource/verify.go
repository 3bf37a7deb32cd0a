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

// skew is how far the clocks of two servers may be apart.
const skew = time.Minute

// parser leaves times to us: an expired token is to be told from a forged one.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// errNoKey is a token whose key is not in the set: a forged one, or one that is signed with a newer key.
var errNoKey = errors.New("resource: the key set has no such key")

// verify checks a token with the public keys.
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
	// The verdict on a key that is not known rests on a key set that was asked for after the token came in.
	for errors.Is(err, errNoKey) && keys.asked.Before(arrived) {
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
	c, err := g.judge(parsed.Header, claims)
	if err != nil {
		return nil, err
	}
	if !g.config.Now().Before(c.Expires) {
		return nil, ErrExpired
	}
	return c, nil
}

// verifying implements jwt.Keyfunc. RFC 8725 section 3.1: the key says which algorithm it is for, not the token.
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
		// Only tokens of the legacy profile may lack a kid; judge sees to that.
		if algorithmOf(key) == t.Method.Alg() && (key.KeyID == kid || !named) {
			set.Keys = append(set.Keys, key.Key)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errNoKey
	}
	return set, nil
}

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

// judge reads type, issuer, audience and times of a token whose signature is good (RFC 9068 section 4).
func (g *Guard) judge(header map[string]any, claims jwt.MapClaims) (*Claims, error) {
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return nil, ErrInvalid
	}
	horizon := g.config.Now().Add(skew)
	notBefore, errBefore := claims.GetNotBefore()
	issued, errIssued := claims.GetIssuedAt()
	if errBefore != nil || errIssued != nil || notBefore != nil && notBefore.After(horizon) || issued != nil && issued.After(horizon) {
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
		return c, g.standard(c, claims)
	case typ == "jwt" && g.config.Legacy && header["alg"] == "RS256":
		return c, g.legacy(c, claims)
	}
	return nil, ErrInvalid
}

func (g *Guard) standard(c *Claims, claims jwt.MapClaims) error {
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
	c.fill(claims)
	return nil
}

// legacy reads a token of the legacy profile. Its sub is its kind: refresh tokens look the same but for that.
func (g *Guard) legacy(c *Claims, claims map[string]any) error {
	if claims["sub"] != "operation" {
		return ErrInvalid
	}
	switch user := claims["username"].(type) {
	case string:
		c.Subject = user
	case map[string]any: // the oldest servers put the whole record there
		c.Subject, _ = user["username"].(string)
	}
	if c.Subject == "" {
		return ErrInvalid
	}
	c.fill(claims)
	c.Legacy, c.Scopes = true, g.config.LegacyScopes
	return nil
}

// fill reads what may be missing.
func (c *Claims) fill(claims map[string]any) {
	c.Client, _ = claims["client_id"].(string)
	c.Session, _ = claims["sid"].(string)
	c.ID, _ = claims["jti"].(string)
	c.SuperUser, _ = claims["super_user"].(bool)
	c.Role, _ = claims["role"].(string)
	scope, _ := claims["scope"].(string)
	c.Scopes = strings.Fields(scope)
}
