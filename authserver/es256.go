package authserver

import (
	"crypto/elliptic"
	"math/big"
)

// An ES256 signature (r, s) has a twin (r, n-s) that verifies as well, and that anybody can make. We sign and take the
// smaller one alone: otherwise a token that was revoked could be sent again in its other spelling.
var (
	orderP256     = elliptic.P256().Params().N
	halfOrderP256 = new(big.Int).Rsh(orderP256, 1)
)

const scalarLength = 32

// isLow tells which of the twins it is.
func isLow(signature []byte) bool {
	return len(signature) == 2*scalarLength && new(big.Int).SetBytes(signature[scalarLength:]).Cmp(halfOrderP256) <= 0
}

// makeLow turns a signature into the smaller twin.
func makeLow(signature []byte) {
	if len(signature) != 2*scalarLength || isLow(signature) {
		return
	}
	s := new(big.Int).SetBytes(signature[scalarLength:])
	s.Sub(orderP256, s).FillBytes(signature[scalarLength:])
}
