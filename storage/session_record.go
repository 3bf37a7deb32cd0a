package storage

import (
	"crypto/sha1" // #nosec G505 -- see rawGeneration
	"encoding/base64"
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// session is the stored form of one login, which the scripts write: see record.lua for the layout. Times are milliseconds of
// Redis's clock, and hashes the 12 bytes of tokenName.raw.
type session struct {
	version int
	size    int
	created int64
	ends    int64  // end of the session, however often it is refreshed; 0: none
	id      string // fosite's request ID, unless the key tells it

	// generation and clientGeneration are those of the user and the client when the session was opened. It has ended once one
	// of them is another.
	generation       string
	clientGeneration string
	// parent is the hash of the access token that the session was made from. Empty for one that was made from a refresh token
	// or from none. The names of the sessions that it was made from are in its ID.
	parent string

	current        string // hash of the current refresh token
	currentExpires int64
	number         uint32 // of the current refresh token; those before it have smaller ones
	used           string // hashes of used ones that have no number
	oldUsed        string // used ones of the version before, by tokenName.short

	access map[string]int64 // hash of access token → expiry

	// selfContained sessions list no access tokens, only those that were revoked.
	selfContained bool
	accessExpires int64 // of the last of them
	revoked       map[string]int64

	body []byte // the request, see document; in old records the record
}

const (
	recordVersion    = 2
	oldRecordVersion = 1
)

// The flags of the layout in record.lua.
const (
	flagGeneration = 1 << iota
	flagClientGeneration
	flagCurrent
	flagSelfContained
	flagListed
	flagAccessExpires
	flagEnds
	flagMore
)

const (
	flagParent = 1 << iota
	flagID
	flagUsed
	flagAccess
	flagRevoked
	flagOldUsed
)

const (
	timeUnit         = 10 // milliseconds
	generationLength = 5
	accessSlack      = 60_000 // milliseconds, see record.lua
)

// decodeSession reads a record of either version. Its errors are marked as unavailable.
func decodeSession(op, raw string) (*session, error) {
	s, err := parseSession(raw)
	if err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	s.size = len(raw)
	return s, nil
}

func parseSession(raw string) (*session, error) {
	if raw == "" {
		return nil, errTruncated
	}
	if raw[0] == '{' {
		return parseOldSession(raw)
	}
	r := &fields{left: raw}
	s := &session{version: int(r.number(1))}
	if s.version != recordVersion {
		return nil, fmt.Errorf("version %d", s.version)
	}
	flags := r.number(1)
	s.created = r.time()
	if flags&flagGeneration != 0 {
		s.generation = r.take(generationLength)
	}
	if flags&flagClientGeneration != 0 {
		s.clientGeneration = r.take(generationLength)
	}
	if flags&flagCurrent != 0 {
		s.current, s.currentExpires, s.number = r.take(hashLength), r.time(), uint32(r.number(4)) // #nosec G115 -- four bytes
	}
	if s.selfContained = flags&flagSelfContained != 0; s.selfContained {
		s.accessExpires = s.currentExpires + accessSlack
	}
	if flags&flagAccessExpires != 0 {
		s.accessExpires = r.time()
	}
	if flags&flagEnds != 0 {
		s.ends = r.time()
	}
	if flags&flagMore != 0 {
		s.more(r)
	}
	s.body = []byte(r.left)
	return s, r.err
}

func (s *session) more(r *fields) {
	flags := r.number(1)
	if flags&flagParent != 0 {
		s.parent = r.take(hashLength)
	}
	if flags&flagID != 0 {
		s.id = r.long()
	}
	if flags&flagUsed != 0 {
		s.used = r.take(int(r.number(1)) * hashLength)
	}
	if flags&flagAccess != 0 {
		s.access = r.expiries()
	}
	if flags&flagRevoked != 0 {
		s.revoked = r.expiries()
	}
	if flags&flagOldUsed != 0 {
		s.oldUsed = r.long()
		_ = r.time() // only scripts forget them
	}
}

// rawGeneration is a generation as a record has it: 40 bits tell those of one user apart. Of one that this package has not made,
// such as a third-party client may have, they are a hash, which Lua in Redis computes too.
func rawGeneration(generation string) string {
	if generation == "" {
		return ""
	}
	if raw, err := base64.RawURLEncoding.DecodeString(generation); err == nil && len(generation) == 8 {
		return string(raw[:generationLength])
	}
	sum := sha1.Sum([]byte(generation)) // #nosec G401 -- see above: it proves nothing
	return string(sum[:generationLength])
}

// requestID returns fosite's request ID of the session.
func (s *session) requestID(key sessionKey) string {
	if s.id != "" {
		return s.id
	}
	return string(key)
}

// accepts tells whether the name is that of a valid access token.
func (s *session) accepts(access string, now int64) bool {
	if expires, listed := s.access[access]; listed {
		return expires > now
	}
	_, revoked := s.revoked[access]
	return s.selfContained && !revoked && s.accessExpires > now
}

// wasUsed tells whether a refresh token was rotated.
func (s *session) wasUsed(token tokenName) bool {
	return token.number > 0 && token.number < s.number || contains(s.used, token.raw()) || contains(s.oldUsed, token.short())
}

// contains tells whether a list of names of one length has a name.
func contains(list, name string) bool {
	for ; len(list) >= len(name); list = list[len(name):] {
		if list[:len(name)] == name {
			return true
		}
	}
	return false
}
