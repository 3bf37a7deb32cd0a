package authserver

import (
	"encoding/json"
	"fmt"

	"github.com/opgrant/opgrant/authserver/seal"
)

// sealPurpose is part of the key derivation: a change makes the values in Redis unreadable.
const sealPurpose = "opgrant refresh answer"

// sealTokens encrypts the tokens of a refresh under the refresh token of the request. Reading Redis is not enough to use them;
// a client that sends the same refresh token again can be given them again.
func sealTokens(refreshToken string, tokens issuedTokens) ([]byte, error) {
	plain, err := json.Marshal(tokens)
	if err != nil {
		return nil, fmt.Errorf("authserver: seal tokens: %w", err)
	}
	cipher, err := seal.New([]byte(refreshToken), sealPurpose)
	if err != nil {
		return nil, fmt.Errorf("authserver: seal tokens: %w", err)
	}
	return cipher.Seal(plain), nil
}

// unsealTokens decrypts what sealTokens returned for the same refresh token.
func unsealTokens(refreshToken string, sealed []byte) (tokens issuedTokens, err error) {
	cipher, err := seal.New([]byte(refreshToken), sealPurpose)
	if err != nil {
		return tokens, fmt.Errorf("authserver: open sealed tokens: %w", err)
	}
	plain, err := cipher.Open(sealed)
	if err != nil {
		return tokens, fmt.Errorf("authserver: open sealed tokens: %w", err)
	}
	return tokens, json.Unmarshal(plain, &tokens)
}
