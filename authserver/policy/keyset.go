package policy

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// jwk has the members of a JSON Web Key that are checked at registration (RFC 7517 section 4, RFC 7518 section 6, RFC 8037).
type jwk struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	N         string `json:"n"`
	E         string `json:"e"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// privateMembers are those that only a private or a symmetric key has.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// keySet reports what is wrong with a client's key set. A key that could never verify an assertion is refused when the
// client is registered, not at its first login.
func (p *Problems) keySet(raw json.RawMessage) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		p.check("jwks", false, "is not a JSON Web Key Set (RFC 7517, section 5)")
		return
	}
	p.check("jwks", len(set.Keys) > 0, "has no keys")
	seen := map[string]bool{}
	for i, key := range set.Keys {
		var k jwk
		if err := json.Unmarshal(key, &k); err != nil {
			p.check("jwks", false, "key %d is not a JSON Web Key (RFC 7517, section 4)", i+1)
			continue
		}
		if problem := k.problem(key); problem != "" {
			p.check("jwks", false, "key %d %s", i+1, problem)
		}
		p.check("jwks", k.ID == "" || !seen[k.ID], "key %d has the kid of another one", i+1)
		seen[k.ID] = true
	}
}

// problem returns what is wrong with one key, or "".
func (k jwk) problem(raw json.RawMessage) string {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return "is not a JSON object"
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return fmt.Sprintf("has the member %q of a private key: register the public key alone", name)
		}
	}
	if k.Use != "" && k.Use != "sig" {
		return fmt.Sprintf("is not for signatures: its use is %q", k.Use)
	}
	switch k.Type {
	case "RSA":
		return k.rsaProblem()
	case "EC":
		return k.ecProblem()
	case "OKP":
		return k.okpProblem()
	}
	return fmt.Sprintf("has the kty %q, which is not one of RSA, EC, OKP", k.Type)
}

// rsaProblem checks the bounds of RFC 7518 sections 3.3 and 3.5. The upper one bounds the work of a verification.
func (k jwk) rsaProblem() string {
	n, okN := unsigned(k.N)
	e, okE := unsigned(k.E)
	switch {
	case !okN || !okE || e.Bit(0) == 0 || e.BitLen() < 2 || e.BitLen() > 31:
		return "has no RSA modulus and exponent"
	case n.BitLen() < DefaultRSABits || n.BitLen() > MaxRSABits:
		return fmt.Sprintf("has %d bits, not between %d and %d", n.BitLen(), DefaultRSABits, MaxRSABits)
	}
	return k.algorithmProblem(RS256, PS256)
}

func (k jwk) ecProblem() string {
	if k.Curve != "P-256" {
		return fmt.Sprintf("has the curve %q: for ECDSA there is P-256 alone", k.Curve)
	}
	x, okX := decode(k.X)
	y, okY := decode(k.Y)
	point := slices.Concat([]byte{4}, x, y) // SEC 1, section 2.3.3: uncompressed
	if _, err := ecdh.P256().NewPublicKey(point); err != nil || !okX || !okY || len(x) != len(y) {
		return "is not a point of P-256"
	}
	return k.algorithmProblem(ES256)
}

func (k jwk) okpProblem() string {
	if k.Curve != "Ed25519" {
		return fmt.Sprintf("has the curve %q: for EdDSA there is Ed25519 alone", k.Curve)
	}
	if x, ok := decode(k.X); !ok || len(x) != ed25519.PublicKeySize {
		return "is not an Ed25519 key"
	}
	return k.algorithmProblem(EdDSA)
}

func (k jwk) algorithmProblem(allowed ...string) string {
	if k.Algorithm == "" || slices.Contains(allowed, k.Algorithm) {
		return ""
	}
	return fmt.Sprintf("has the alg %q, which is not one of %s", k.Algorithm, strings.Join(allowed, ", "))
}

// unsigned reads a Base64urlUInt of RFC 7518 section 2.
func unsigned(s string) (*big.Int, bool) {
	raw, ok := decode(s)
	return new(big.Int).SetBytes(raw), ok && len(raw) > 0
}

func decode(s string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	return raw, err == nil
}
