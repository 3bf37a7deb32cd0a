package authserver

import (
	"crypto/elliptic"
	"math/big"
)

// For an ES256 signature (r, s) the pair (r, n-s) is valid too, and anyone can compute it. The server signs with the
// smaller s and accepts no other, so that a revoked token cannot be sent again in its second form.
var (
	orderP256     = elliptic.P256().Params().N
	halfOrderP256 = new(big.Int).Rsh(orderP256, 1)
)

const scalarLength = 32

// isLow tells whether s is the smaller one.
func isLow(signature []byte) bool {
	return len(signature) == 2*scalarLength && new(big.Int).SetBytes(signature[scalarLength:]).Cmp(halfOrderP256) <= 0
}

// makeLow replaces s by n-s if that is smaller.
func makeLow(signature []byte) {
	if len(signature) != 2*scalarLength || isLow(signature) {
		return
	}
	s := new(big.Int).SetBytes(signature[scalarLength:])
	s.Sub(orderP256, s).FillBytes(signature[scalarLength:])
}
