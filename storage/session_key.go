package storage

import (
	"strings"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const (
	nameLength   = redisdb.TagLength // of a session's name within its subject
	usedLength   = 12                // 72 bits of a hash name a used refresh token
	accessLength = 22                // 128 bits of a hash name an access token
)

// sessionKey tells where a session is stored: the hash tag of its subject and the session's name within it, 22 characters
// each. A session ID that this package made is the key; a foreign request ID leads to one through a pointer in Redis.
type sessionKey string

func (k sessionKey) tag() string  { return string(k[:redisdb.TagLength]) }
func (k sessionKey) name() string { return string(k[redisdb.TagLength:]) }

// NewSessionID returns an ID for a new session of the subject, to be set as fosite's request ID before tokens are made. It
// tells nothing about the subject but a hash. Sessions without a subject ("") share no Redis Cluster slot with each other.
func NewSessionID(subject string) string {
	tag := redisdb.SubjectTag(subject)
	if subject == "" {
		tag = redisdb.RandomID()
	}
	return tag + redisdb.RandomID()
}

// Signature returns the signature that a fosite strategy should give to a token of the session: with it the store finds the
// session of the token without another round trip. It contains the token only as a hash.
func Signature(sessionID, token string) string { return sessionID + "." + redisdb.Hash(token) }

// SessionID is NewSessionID, as a method for package authserver.
func (t *Tokens) SessionID(subject string) string { return NewSessionID(subject) }

// TokenSignature is Signature, as a method for package authserver.
func (t *Tokens) TokenSignature(sessionID, token string) string { return Signature(sessionID, token) }

// importedSession is part of the IDs of stored sessions and must stay as it is: under another ID a revoked one would be new.
const importedSession = "adopted\x00"

// ImportedSessionID returns the ID of the session that continues from another server's token: always the same for the same
// token.
func (t *Tokens) ImportedSessionID(subject, token string) string {
	return redisdb.SubjectTag(subject) + redisdb.Hash(importedSession + token)[:nameLength]
}

// parseSessionID accepts exactly what NewSessionID makes: the ID comes out of a token that a caller sent, and becomes part
// of a Redis key.
func parseSessionID(id string) (sessionKey, bool) {
	if len(id) != redisdb.TagLength+nameLength || !base64urlOnly(id) {
		return "", false
	}
	return sessionKey(id), true
}

// parseSignature splits what Signature joined. ok is false for a foreign signature.
func parseSignature(signature string) (key sessionKey, tokenHash string, ok bool) {
	id, tokenHash, found := strings.Cut(signature, ".")
	if !found || len(tokenHash) != redisdb.HashLength || !base64urlOnly(tokenHash) {
		return "", "", false
	}
	key, ok = parseSessionID(id)
	return key, tokenHash, ok
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
