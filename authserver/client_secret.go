package authserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Secrets hashes and compares client secrets. A salted SHA-256 is enough for secrets that are long and random, and a
// password hash would be the slowest part of every request. Compare also accepts bcrypt hashes, as other fosite servers
// store them. The zero value is ready to use.
type Secrets struct{}

var _ fosite.Hasher = Secrets{}

var errWrongSecret = errors.New("authserver: wrong secret")

// NewSecret returns a client secret of 256 random bits.
func NewSecret() string { return random(32) }

// Hash implements fosite.Hasher. It refuses a secret that is too easy to guess: see policy.SecretProblems.
func (Secrets) Hash(_ context.Context, secret []byte) ([]byte, error) {
	hash, err := policy.HashSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	return []byte(hash), nil
}

// Compare implements fosite.Hasher. It returns an error unless the secret is the one of the hash.
func (Secrets) Compare(_ context.Context, hash, secret []byte) error {
	if slow(hash) {
		return bcrypt.CompareHashAndPassword(hash, secret)
	}
	if !policy.CompareSecret(hash, secret) {
		return errWrongSecret
	}
	return nil
}

// slow tells whether a hash takes long to compare.
func slow(hash []byte) bool { return !policy.IsSecretHash(hash) }
