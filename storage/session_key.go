package storage

import (
	"strconv"
	"strings"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const nameLength = redisdb.TagLength // of a session's name within its subject

// sessionKey tells where a session is stored: the hash tag of its subject and the session's name within it, 22 characters
// each. The names of the sessions follow that it was made from, the nearest first, so that they are read in the same round
// trip. A session ID that this package made is the key; a foreign request ID leads to one through a pointer in Redis.
type sessionKey string

// maxParents is how many sessions a session may have been made from, one from the other.
const maxParents = 4

func (k sessionKey) tag() string  { return string(k[:redisdb.TagLength]) }
func (k sessionKey) name() string { return k.own()[redisdb.TagLength:] }

// raw is the name as 16 bytes, as it is in Redis.
func (k sessionKey) raw() string { return redisdb.RawName(k.name()) }

// plainKey returns the key of a session of which a key in Redis, and what is stored there, tell the name and the subject.
func plainKey(subject, raw string) sessionKey {
	name := redisdb.TextName(raw)
	if subject == "" {
		return sessionKey(redisdb.SessionTag(name) + name)
	}
	return sessionKey(redisdb.SubjectTag(subject) + name)
}

// own is the key without the sessions that it was made from.
func (k sessionKey) own() string { return string(k[:redisdb.TagLength+nameLength]) }

// parents returns the names of the sessions that the session was made from, the nearest first.
func (k sessionKey) parents() []string {
	var names []string
	for rest := string(k[redisdb.TagLength+nameLength:]); rest != ""; rest = rest[nameLength:] {
		names = append(names, rest[:nameLength])
	}
	return names
}

// NewSessionID returns an ID for a new session of the subject, to be set as fosite's request ID before tokens are made. It
// tells nothing about the subject but a hash. Sessions without a subject ("") share no Redis Cluster slot with each other.
func NewSessionID(subject string) string {
	name := redisdb.RandomID()
	if subject == "" {
		return redisdb.SessionTag(name) + name
	}
	return redisdb.SubjectTag(subject) + name
}

// DerivedSessionID returns an ID for a session of the same subject that is made from another one, by token exchange: it ends
// with that one. ok is false if the ID is not one of this package, or if that session has too many before it.
func DerivedSessionID(from string) (id string, ok bool) {
	key, ok := parseSessionID(from)
	if !ok || len(key.parents()) >= maxParents {
		return "", false
	}
	return key.tag() + redisdb.RandomID() + string(key[redisdb.TagLength:]), true
}

// Signature returns the signature that a fosite strategy should give to a token of the session: with it the store finds the
// session of the token without another round trip. It contains the token only as a hash.
func Signature(sessionID, token string) string { return sessionID + "." + redisdb.Hash(token) }

// SessionID is NewSessionID, as a method for package authserver.
func (t *Tokens) SessionID(subject string) string { return NewSessionID(subject) }

// DerivedSessionID is the function of that name, as a method for package authserver.
func (t *Tokens) DerivedSessionID(from string) (id string, ok bool) { return DerivedSessionID(from) }

// TokenSignature is Signature, as a method for package authserver.
func (t *Tokens) TokenSignature(sessionID, token string) string { return Signature(sessionID, token) }

// importedSession is part of the IDs of stored sessions and must stay as it is: under another ID a revoked one would be new.
const importedSession = "adopted\x00"

// ImportedSessionID returns the ID of the session that continues from another server's token: always the same for the same
// token.
func (t *Tokens) ImportedSessionID(subject, token string) string {
	return redisdb.SubjectTag(subject) + redisdb.Hash(importedSession + token)[:nameLength]
}

// parseSessionID accepts exactly what NewSessionID and DerivedSessionID make: the ID comes out of a token that a caller sent, and
// becomes part of a Redis key.
func parseSessionID(id string) (sessionKey, bool) {
	const shortest = redisdb.TagLength + nameLength
	if len(id) < shortest || len(id) > shortest+maxParents*nameLength || (len(id)-shortest)%nameLength != 0 || !base64urlOnly(id) {
		return "", false
	}
	return sessionKey(id), true
}

// tokenName names a token within its session.
type tokenName struct {
	hash   string // Hash of the token, or of a foreign signature
	number uint32 // of a refresh token that has one
}

const (
	usedLength   = 12 // characters of the hash that named a used refresh token in the version before, and name its answer
	numberDigits = 10 // of a 32-bit number
)

// raw is the hash as the session record has it.
func (n tokenName) raw() string { return rawHash(n.hash) }

// hashLength is the length of a hash in a session record: 96 bits. A token with the same cannot be found by whoever reads Redis.
const hashLength = 12

// rawHash returns the bytes of a hash, or of none.
func rawHash(hash string) string {
	raw := redisdb.RawName(hash)
	return raw[:min(len(raw), hashLength)]
}

// short is the name of the token's answer, and that of a used token in records of the version before.
func (n tokenName) short() string { return n.hash[:usedLength] }

// parseSignature splits what Signature or RefreshSignature joined. ok is false for a foreign signature.
func parseSignature(signature string) (key sessionKey, name tokenName, ok bool) {
	id, rest, found := strings.Cut(signature, ".")
	if !found {
		return "", tokenName{}, false
	}
	hash, digits, numbered := strings.Cut(rest, ".")
	if len(hash) != redisdb.HashLength || !base64urlOnly(hash) || len(digits) > numberDigits {
		return "", tokenName{}, false
	}
	name.hash = hash
	if numbered {
		number, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || number == 0 {
			return "", tokenName{}, false
		}
		name.number = uint32(number)
	}
	key, ok = parseSessionID(id)
	return key, name, ok
}

// nameOf is the name of a token within its session.
func nameOf(signature string) tokenName {
	if _, name, ok := parseSignature(signature); ok {
		return name
	}
	return tokenName{hash: redisdb.Hash(signature)}
}

func base64urlOnly(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// keyOfRequest returns the session of a request: from an ID of this package, otherwise one beside the subject's others.
func keyOfRequest(req fosite.Requester) sessionKey {
	id, subject := req.GetID(), req.GetSession().GetSubject()
	if key, ok := parseSessionID(id); ok {
		return key
	}
	tag := redisdb.SubjectTag(subject)
	if subject == "" {
		tag = redisdb.Hash(id)[:redisdb.TagLength]
	}
	return sessionKey(tag + redisdb.Hash("request\x00" + id)[:nameLength])
}
