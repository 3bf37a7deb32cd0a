package policy

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

const secretPrefix = "{SSHA256}"

// HashSecret returns the salted SHA-256 of a client secret, which is enough for one that is long and random. It refuses a secret
// that is too easy to guess: see SecretProblems.
func HashSecret(secret []byte) (string, error) {
	if err := SecretProblems(string(secret)).Err(); err != nil {
		return "", fmt.Errorf("client %w", err)
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	return secretPrefix + base64.RawStdEncoding.EncodeToString(append(salt[:], saltedSecret(salt[:], secret)...)), nil
}

// IsSecretHash tells whether HashSecret made the hash, which is then quick to compare.
func IsSecretHash(hash []byte) bool { return strings.HasPrefix(string(hash), secretPrefix) }

// CompareSecret tells whether a hash of HashSecret is that of the secret.
func CompareSecret(hash, secret []byte) bool {
	text, ok := strings.CutPrefix(string(hash), secretPrefix)
	if !ok {
		return false
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) != 16+sha256.Size {
		return false
	}
	return subtle.ConstantTimeCompare(raw[16:], saltedSecret(raw[:16], secret)) == 1
}

func saltedSecret(salt, secret []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), secret...))
	return sum[:]
}
