package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
)

// ErrPassphrase is returned for an encrypted key if the passphrase is missing or wrong.
var ErrPassphrase = errors.New("keys: the key is encrypted, and the passphrase is missing or wrong")

// ParsePrivate reads a private key from PEM: PKCS #8 (encrypted or not), PKCS #1 or SEC 1. The passphrase is ignored if the
// key is not encrypted. ErrPassphrase: the key is encrypted and the passphrase does not fit.
func ParsePrivate(text, passphrase []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("keys: no PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		if key, err = pkcs8.ParsePKCS8PrivateKey(block.Bytes, passphrase); err != nil {
			return nil, ErrPassphrase
		}
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("keys: a PEM block of type %q is not a private key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("keys: %T is not a signing key", key)
	}
	return signer, nil
}

// ParsePublic reads a public key from PEM (SPKI).
func ParsePublic(text []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("keys: no PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return key, nil
}
