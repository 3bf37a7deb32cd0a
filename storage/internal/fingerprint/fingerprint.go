// Package fingerprint recognises credentials that a process has seen, without keeping them.
package fingerprint

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// Key makes fingerprints. Only those of one key can be compared, and without the key none can be used to guess what it is of. It is
// safe for concurrent use.
type Key struct{ random [32]byte }

// Fingerprint is an HMAC. Neither it nor its key is stored or logged.
type Fingerprint [sha256.Size]byte

// NewKey returns a random key.
func NewKey() *Key {
	k := &Key{}
	_, _ = rand.Read(k.random[:]) // never fails: crypto/rand aborts the program instead
	return k
}

// Of returns the fingerprint of some texts in their order. Each counts with its length, so that no two lists have the same.
func (k *Key) Of(parts ...string) Fingerprint {
	mac := hmac.New(sha256.New, k.random[:])
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return Fingerprint(mac.Sum(nil))
}
