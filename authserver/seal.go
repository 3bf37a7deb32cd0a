package authserver

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// answer is what a refresh gave, kept for the grace so that a client whose connection broke gets the very same again.
type answer struct {
	Access  string   `json:"a"`
	Refresh string   `json:"r"`
	Expires int64    `json:"e"` // of the access token
	Scopes  []string `json:"s,omitempty"`
}

// seal encrypts an answer so that only the refresh token that was presented for it opens it: what lies in Redis is of no
// use to whoever reads it there.
func seal(presented string, a answer) ([]byte, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("authserver: seal: %w", err)
	}
	aead, err := sealKey(presented)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, nil), nil
}

func open(presented string, sealed []byte) (answer, error) {
	var a answer
	aead, err := sealKey(presented)
	if err != nil {
		return a, err
	}
	if len(sealed) < aead.NonceSize() {
		return a, errors.New("authserver: sealed answer is cut short")
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return a, fmt.Errorf("authserver: open answer: %w", err)
	}
	return a, json.Unmarshal(plain, &a)
}

func sealKey(presented string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(presented), nil, "opgrant refresh answer", 32)
	if err != nil {
		return nil, fmt.Errorf("authserver: derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("authserver: derive key: %w", err)
	}
	return cipher.NewGCM(block)
}
