package compat_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// signingKey is generated once, because that is slow.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// sign makes a token.
func (d *directory) sign(c compat.Caller, role, sub, session string, ttl time.Duration) string {
	return d.signFor(c, role, sub, session, ttl, "")
}

// signFor makes a token. seconds is the TTL that the caller asked for, as text; it gets a second at least, and the TTL of a
// refresh token at most.
func (d *directory) signFor(c compat.Caller, role, sub, session string, ttl time.Duration, seconds string) string {
	now := d.now().Unix()
	exp := now + int64(ttl/time.Second)
	if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		exp = now + max(1, min(n, int64(d.refreshTTL/time.Second)))
	}
	d.mu.Lock()
	d.count++
	claims := map[string]any{
		"username": c.Name, "super_user": c.SuperUser, "iat": now, "exp": exp, "sub": sub,
		"jti": strconv.Itoa(d.count), "sid": cmp.Or(session, d.newest[c.Name]),
	}
	d.mu.Unlock()
	if role != "" {
		claims["role"] = role
	}
	encode := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := encode(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "1"}) + "." + encode(claims)
	hash := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Token implements compat.Authenticator.
func (d *directory) Token(_ context.Context, token string) (compat.Caller, compat.TokenKind, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] == "" {
		return compat.Caller{}, 0, compat.ErrInvalid
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, hash[:], signature) != nil {
		return compat.Caller{}, 0, compat.ErrInvalid
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Username, Sub, SID, Role string
		Exp                      int64
	}
	if json.Unmarshal(payload, &c) != nil {
		return compat.Caller{}, 0, compat.ErrInvalid
	}
	kind := compat.OperationToken
	if c.Sub == "refresh" {
		kind = compat.RefreshToken
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.users[c.Username]
	switch {
	case d.now().Unix() >= c.Exp:
		return compat.Caller{}, kind, compat.ErrExpired
	case c.Role != "", u == nil, d.sessions[c.SID] != c.Username, !u.Active, kind == compat.RefreshToken && d.newest[c.Username] != c.SID:
		return compat.Caller{}, 0, compat.ErrInvalid
	}
	return d.caller(u), kind, nil
}
