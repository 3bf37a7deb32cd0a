package storage

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A numbered refresh token is the ID of its session, a dot, and 32 bytes as base64url:
//
//	20 random bytes   4 bytes number, big endian   8 bytes MAC
//
// The number counts the refresh tokens of a session from 1. A genuine token whose number is below that of the current one was
// used before, so the record of the session needs no list of used tokens, and none is ever forgotten.
//
// The MAC is keyed by the store's epoch, so that every process of the store can make and check it, and only whoever reads Redis
// can besides. It makes no token good: that takes the hash in the record. Without it anyone who knows the ID of a session, which is
// in each access token, could make up a token that looks used, and reuse ends the session. So that is all that a leaked
// epoch is good for: to end sessions whose IDs are known.
//
// A token is as long as one of the version before, which has 32 random bytes: a server of that version would refuse another length
// without a look at Redis, where it finds that the store is not its own any more.
const (
	refreshRandomLength = 20 // RFC 6749 section 10.10: 160 bits
	refreshSignedLength = refreshRandomLength + 4
	refreshMACLength    = 8
	refreshBytes        = refreshSignedLength + refreshMACLength

	secretLength = 43 // of refreshBytes as base64url
)

const opRefreshToken = "name refresh token"

// RefreshSignature returns the signature of a refresh token of the session, as Signature does, with the token's number. The
// caller must have authenticated the number: a token that is not the current one and has a lower number counts as used. 0 says
// that the token has none; then the result is that of Signature.
func RefreshSignature(sessionID, token string, number uint32) string {
	signature := Signature(sessionID, token)
	if number == 0 {
		return signature
	}
	return signature + "." + strconv.FormatUint(uint64(number), 10)
}

// RefreshSignature is the function of that name, as a method for package authserver.
func (t *Tokens) RefreshSignature(sessionID, token string, number uint32) string {
	return RefreshSignature(sessionID, token, number)
}

// NewRefreshToken makes an opaque refresh token and its signature. It stores nothing. The session ID must be one of this package.
// The first refresh token of a session has the number 1, and each next one a higher number.
//
// Errors: those of an unavailable store (fosite.ErrTemporarilyUnavailable). Redis is asked by the first call of a process alone.
func (t *Tokens) NewRefreshToken(ctx context.Context, sessionID string, number uint32) (token, signature string, err error) {
	if _, ok := parseSessionID(sessionID); !ok || number == 0 {
		return "", "", fmt.Errorf("storage: no refresh token %d of session %q", number, sessionID)
	}
	epoch, err := t.db.Epoch(ctx, opRefreshToken)
	if err != nil {
		return "", "", err
	}
	var b [refreshBytes]byte
	_, _ = rand.Read(b[:refreshRandomLength]) // never fails: crypto/rand aborts the program instead
	binary.BigEndian.PutUint32(b[refreshRandomLength:], number)
	copy(b[refreshSignedLength:], refreshMAC(epoch, sessionID, b[:refreshSignedLength]))
	token = sessionID + "." + base64.RawURLEncoding.EncodeToString(b[:])
	return token, RefreshSignature(sessionID, token, number), nil
}

// ParseRefreshToken names an opaque refresh token: one of NewRefreshToken, or one of the version before, whose
// number is 0. What cannot be such a token has neither session nor signature, which is not an error; whether there is
// such a token is decided by looking it up. A token whose MAC is wrong has the number 0 as well, so that it counts as used for nobody.
// It is still good if its hash is in the record: then the store has another epoch than when the token was made (AcceptLoss).
//
// Errors: those of an unavailable store (fosite.ErrTemporarilyUnavailable). Redis is asked by the first call of a process alone.
func (t *Tokens) ParseRefreshToken(ctx context.Context, token string) (sessionID, signature string, number uint32, err error) {
	id, secret, _ := strings.Cut(token, ".")
	if _, ok := parseSessionID(id); !ok || len(secret) != secretLength || !base64urlOnly(secret) {
		return "", "", 0, nil
	}
	var b [refreshBytes]byte
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(secret)); err != nil {
		return id, Signature(id, token), 0, nil // nobody has made it
	}
	epoch, err := t.db.Epoch(ctx, opRefreshToken)
	if err != nil {
		return "", "", 0, err
	}
	if hmac.Equal(b[refreshSignedLength:], refreshMAC(epoch, id, b[:refreshSignedLength])) {
		number = binary.BigEndian.Uint32(b[refreshRandomLength:refreshSignedLength])
	}
	return id, RefreshSignature(id, token, number), number, nil
}

// refreshMAC authenticates the random bytes and the number of a refresh token of the session.
func refreshMAC(epoch, sessionID string, signed []byte) []byte {
	derived := hmac.New(sha256.New, []byte(epoch))
	derived.Write([]byte("opgrant refresh token"))
	mac := hmac.New(sha256.New, derived.Sum(nil))
	mac.Write([]byte(sessionID + "."))
	mac.Write(signed)
	return mac.Sum(nil)[:refreshMACLength]
}
