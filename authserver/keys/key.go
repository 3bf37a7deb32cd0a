package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/opgrant/opgrant/authserver/policy"
)

// Key is one key pair with its times. It must not be changed.
type Key struct {
	ID        string
	Algorithm string
	Created   time.Time
	// Activates is when the key begins to sign. Until then it is only published.
	Activates time.Time
	// LastExpiry is when the last token expires that was noted because its TTL exceeds Config.MaxTokenTTL (see Set.Note).
	LastExpiry time.Time
	// Imported is true for a key of another server. Until its last day, Until, it also verifies tokens that name no key and no
	// session. Zero: the first build stored no last day, and the set decides (see Set.AcceptsImported).
	Imported bool
	Until    time.Time
	// VerifyOnly is true for a key that never signs.
	VerifyOnly bool

	Private crypto.Signer // nil if only the public key is known
	Public  crypto.PublicKey
}

// canSign tells whether the key may sign at all.
func (k *Key) canSign() bool { return !k.VerifyOnly && k.Private != nil }

// record is the stored form of a Key.
type record struct {
	ID         string    `json:"kid"`
	Algorithm  string    `json:"alg"`
	Created    time.Time `json:"created"`
	Activates  time.Time `json:"activates"`
	LastExpiry time.Time `json:"last_expiry,omitzero"`
	Imported   bool      `json:"imported,omitempty"`
	Until      time.Time `json:"until,omitzero"`
	VerifyOnly bool      `json:"verify_only,omitempty"`
	Private    []byte    `json:"private,omitempty"` // PKCS #8
	Public     []byte    `json:"public,omitempty"`  // SPKI, only without a private key
}

func (k *Key) record() (record, error) {
	r := record{
		ID: k.ID, Algorithm: k.Algorithm, Created: k.Created, Activates: k.Activates,
		LastExpiry: k.LastExpiry, Imported: k.Imported, Until: k.Until, VerifyOnly: k.VerifyOnly,
	}
	var err error
	if k.Private != nil {
		r.Private, err = x509.MarshalPKCS8PrivateKey(k.Private)
	} else {
		r.Public, err = x509.MarshalPKIXPublicKey(k.Public)
	}
	return r, err
}

func (r record) key() (*Key, error) {
	k := &Key{
		ID: r.ID, Algorithm: r.Algorithm, Created: r.Created, Activates: r.Activates,
		LastExpiry: r.LastExpiry, Imported: r.Imported, Until: r.Until, VerifyOnly: r.VerifyOnly,
	}
	if len(r.Private) == 0 {
		public, err := x509.ParsePKIXPublicKey(r.Public)
		k.Public = public
		return k, err
	}
	private, err := x509.ParsePKCS8PrivateKey(r.Private)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a signing key")
	}
	k.Private, k.Public = signer, signer.Public()
	return k, nil
}

// generate makes a new key pair.
func generate(algorithm string, rsaBits int) (crypto.Signer, error) {
	switch algorithm {
	case policy.RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case policy.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case policy.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("keys: unknown algorithm %q", algorithm)
}

// AlgorithmOf returns the signing algorithm for a public key, or an error if no token may be signed with it: RSA keys of less
// than 2048 bits, curves other than P-256, and other kinds of keys.
func AlgorithmOf(public crypto.PublicKey) (string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return "", fmt.Errorf("keys: RSA key of %d bits, at least 2048 are needed", k.N.BitLen())
		}
		return policy.RS256, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", errors.New("keys: the only curve for ECDSA is P-256")
		}
		return policy.ES256, nil
	case ed25519.PublicKey:
		return policy.EdDSA, nil
	}
	return "", fmt.Errorf("keys: %T is not a signing key", public)
}

// IDOf returns the ID (kid) of a key: its JWK thumbprint (RFC 7638), so that a key has the same ID on every server.
func IDOf(public crypto.PublicKey) (string, error) {
	jwk := jose.JSONWebKey{Key: public}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
