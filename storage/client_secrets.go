package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/authserver/policy"
)

// ClientSecretsHasher hashes and compares the secrets of clients as they are stored in Client.Secrets: set it as
// fosite.Config.ClientSecretsHasher of a fosite server on this store. Package authserver has it built in.
//
// A secret that is long and random needs no slow hash, and a salted SHA-256 leaves the token endpoint quick. Compare accepts bcrypt
// too, which is fosite's default, so that clients can be moved here with their hashes. The zero value is ready to use.
type ClientSecretsHasher struct{}

var _ fosite.Hasher = ClientSecretsHasher{}

// errWrongSecret is returned by Compare. fosite answers invalid_client to any error.
var errWrongSecret = errors.New("storage: wrong client secret")

// Hash implements fosite.Hasher. It returns an error for a secret that is too easy to guess: see policy.SecretProblems.
func (ClientSecretsHasher) Hash(_ context.Context, secret []byte) ([]byte, error) {
	hash, err := policy.HashSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return []byte(hash), nil
}

// Compare implements fosite.Hasher. It returns an error unless the secret is the one of the hash.
func (ClientSecretsHasher) Compare(_ context.Context, hash, secret []byte) error {
	if !policy.IsSecretHash(hash) {
		return bcrypt.CompareHashAndPassword(hash, secret)
	}
	if !policy.CompareSecret(hash, secret) {
		return errWrongSecret
	}
	return nil
}
