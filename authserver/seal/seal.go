// Package seal encrypts small values that are kept in Redis, so that reading Redis is not enough to read them.
//
// A Cipher uses AES-256-GCM with a key that HKDF-SHA256 derives from a secret and a purpose: values that were sealed for
// one purpose do not open for another, even under the same secret. The package imports the standard library only, so
// that both the server and its store may use it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrOpen is returned by Open for a value that was sealed with another secret or purpose, that was changed, or that was
// never sealed. Which of them it is cannot be told.
var ErrOpen = errors.New("seal: cannot decrypt: another secret, or not a sealed value")

// Cipher seals and opens values. It is safe for concurrent use. Make one with New.
type Cipher struct {
	aead cipher.AEAD
}

// New derives the key for a purpose from a secret. The secret must be hard to guess: no password hashing slows an attacker
// down. An empty secret is an error.
func New(secret []byte, purpose string) (*Cipher, error) {
	if len(secret) == 0 {
		return nil, errors.New("seal: the secret is empty")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key: %w", err)
	}
	return &Cipher{aead: aead}, nil
}

// Seal encrypts a value. The result is a random nonce followed by the ciphertext, so that no two results are equal.
func (c *Cipher) Seal(plain []byte) []byte {
	nonce := make([]byte, c.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails: crypto/rand aborts the program instead
	return c.aead.Seal(nonce, nonce, plain, nil)
}

// Open decrypts what Seal returned, or returns ErrOpen.
func (c *Cipher) Open(sealed []byte) ([]byte, error) {
	n := c.aead.NonceSize()
	if len(sealed) < n {
		return nil, ErrOpen
	}
	plain, err := c.aead.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
