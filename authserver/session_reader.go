package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// sessionReader reads the stored form of a session. Once damaged, it returns zero values.
type sessionReader struct {
	rest    []byte
	damaged bool
}

// take returns the next n bytes, or nil.
func (r *sessionReader) take(n int) []byte {
	if r.damaged || n > len(r.rest) {
		r.damaged = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *sessionReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *sessionReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

// length reads the number of things that follow, each of which takes at least a byte.
func (r *sessionReader) length() int {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	if v > math.MaxInt32 || int(v) > len(r.rest) {
		r.damaged = true
		return 0
	}
	return int(v)
}

// skip goes on behind a number of n bytes. n is not positive where there was none.
func (r *sessionReader) skip(n int) {
	if n <= 0 {
		r.damaged = true
		return
	}
	r.take(n)
}

func (r *sessionReader) text() string { return string(r.take(r.length())) }

func (r *sessionReader) keyID() string {
	switch r.byte() {
	case thumbprintID:
		return base64.RawURLEncoding.EncodeToString(r.take(sha256.Size))
	case textID:
		return r.text()
	}
	r.damaged = true
	return ""
}

func (r *sessionReader) list(read func() string) []string {
	var list []string
	for range r.length() {
		list = append(list, read())
	}
	return list
}
