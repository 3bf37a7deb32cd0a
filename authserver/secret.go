package authserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"
)

// Secrets hashes and compares client secrets. They are random and long, so a salted SHA-256 serves them: a password hash
// on every request would be the slowest thing in the server. Hashes that another server made with bcrypt are compared too.
type Secrets struct{}

var _ fosite.Hasher = Secrets{}

const secretPrefix = "{SSHA256}"

var errSecret = errors.New("authserver: wrong secret")

// NewSecret returns a client secret of 256 random bits.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Hash implements fosite.Hasher.
func (Secrets) Hash(_ context.Context, secret []byte) ([]byte, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	return []byte(secretPrefix + base64.RawStdEncoding.EncodeToString(append(salt[:], salted(salt[:], secret)...))), nil
}

// Compare implements fosite.Hasher.
func (Secrets) Compare(_ context.Context, hash, secret []byte) error {
	text, ok := strings.CutPrefix(string(hash), secretPrefix)
	if !ok {
		return bcrypt.CompareHashAndPassword(hash, secret)
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) != 16+sha256.Size {
		return errSecret
	}
	if subtle.ConstantTimeCompare(raw[16:], salted(raw[:16], secret)) != 1 {
		return errSecret
	}
	return nil
}

func salted(salt, secret []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), secret...))
	return sum[:]
}
