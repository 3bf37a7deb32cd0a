package storage

import "strconv"

// RefreshSignature is Signature for a refresh token that has a number: 1 for the first of its session, and one more for each
// rotation. The caller must have authenticated the number.
func RefreshSignature(sessionID, token string, number uint32) string {
	return Signature(sessionID, token) + "." + strconv.FormatUint(uint64(number), 10)
}
