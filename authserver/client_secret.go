package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Secrets hashes and compares client secrets. A salted SHA-256 is enough for secrets that are long and random, and a
// password hash would be the slowest part of every request. Compare also accepts bcrypt hashes, as other fosite servers
// store them. The zero value is ready to use.
type Secrets struct{}

var _ fosite.Hasher = Secrets{}

const secretPrefix = "{SSHA256}"

var errWrongSecret = errors.New("authserver: wrong secret")

// NewSecret returns a client secret of 256 random bits.
func NewSecret() string { return random(32) }

// Hash implements fosite.Hasher. It refuses a secret that is too easy to guess: see policy.SecretProblems.
func (Secrets) Hash(_ context.Context, secret []byte) ([]byte, error) {
	if err := policy.SecretProblems(string(secret)).Err(); err != nil {
		return nil, fmt.Errorf("authserver: client %w", err)
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	return []byte(secretPrefix + base64.RawStdEncoding.EncodeToString(append(salt[:], salted(salt[:], secret)...))), nil
}

// Compare implements fosite.Hasher. It returns an error unless the secret is the one of the hash.
func (Secrets) Compare(_ context.Context, hash, secret []byte) error {
	text, ok := strings.CutPrefix(string(hash), secretPrefix)
	if !ok {
		return bcrypt.CompareHashAndPassword(hash, secret)
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) != 16+sha256.Size {
		return errWrongSecret
	}
	if subtle.ConstantTimeCompare(raw[16:], salted(raw[:16], secret)) != 1 {
		return errWrongSecret
	}
	return nil
}

// slow tells whether a hash takes long to compare.
func slow(hash []byte) bool { return !strings.HasPrefix(string(hash), secretPrefix) }

func salted(salt, secret []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), secret...))
	return sum[:]
}
