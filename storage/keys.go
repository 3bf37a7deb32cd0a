package storage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// keys names every Redis key that this package uses. No name holds more of a token, a user or a client than a hash.
//
//	s:{tag}:rest     session: one login with all its tokens             TTL: the last of its tokens
//	a:{tag}:rest:h   sealed answer to a refresh, h = the token used up   TTL: the grace
//	i:{tag}          sessions of a subject: rest:client → expiry (ZSET)  TTL: the last session
//	e:{tag}          evicted sessions of a subject: rest → expiry (ZSET) TTL: the last session
//	u:{tag}          user record                                         none: accounts stay
//	d:{tag}          mark of a user who was dropped                      TTL: a year
//	p:hash, r:hash   foreign signature or request ID → session           TTL: as the token
//	n:hash           sessions of a client: tag+rest → expiry (ZSET)      TTL: the last session
//	c:hash           client record                                       none
//	j:hash           assertion ID that was used                          TTL: the assertion's life
//	t:hash           failed logins (redis_rate)                          TTL: the window
//	clients users keys epoch   registries                                none
//	{roles} {roles}:supers     roles, and which make super users           none
//	meter                      who still uses which door                   180 days
//
// {tag} is a Redis Cluster hash tag made of the subject, so that all of one user is in one slot and a login can end
// other sessions of that user in the very same script.
type keys struct{ prefix string }

func (k keys) session(l location) string { return k.prefix + "s:{" + l.tag() + "}:" + l.rest() }
func (k keys) answer(l location, used string) string {
	return k.prefix + "a:{" + l.tag() + "}:" + l.rest() + ":" + used
}
func (k keys) index(tag string) string          { return k.prefix + "i:{" + tag + "}" }
func (k keys) evicted(tag string) string        { return k.prefix + "e:{" + tag + "}" }
func (k keys) user(tag string) string           { return k.prefix + "u:{" + tag + "}" }
func (k keys) dropped(tag string) string        { return k.prefix + "d:{" + tag + "}" }
func (k keys) signature(sig string) string      { return k.prefix + "p:" + hash(sig) }
func (k keys) request(id string) string         { return k.prefix + "r:" + hash(id) }
func (k keys) clientIndex(client string) string { return k.prefix + "n:" + hash(client)[:22] }
func (k keys) client(id string) string          { return k.prefix + "c:" + hash(id)[:22] }
func (k keys) assertion(id string) string       { return k.prefix + "j:" + hash(id) }
func (k keys) throttle(what string) string      { return k.prefix + "t:" + hash(what)[:22] }
func (k keys) clients() string                  { return k.prefix + "clients" }
func (k keys) users() string                    { return k.prefix + "users" }
func (k keys) roles() string                    { return k.prefix + "{roles}" }
func (k keys) supers() string                   { return k.prefix + "{roles}:supers" }
func (k keys) signing() string                  { return k.prefix + "keys" }
func (k keys) meter() string                    { return k.prefix + "meter" }
func (k keys) epoch() string                    { return k.prefix + "epoch" }
func (k keys) probe() string                    { return k.prefix + "probe" }

const (
	tagLength      = 22 // base64url of 16 bytes
	locationLength = 2 * tagLength
	hashLength     = 43 // base64url of 32 bytes
	usedLength     = 12 // 72 bits of a hash name a used refresh token
	accessLength   = 22 // 128 bits of a hash name an access token
)

// location says where a session is: the subject's tag and the session's own part, 22 characters each. A session ID that
// this package made is its own location; a request ID that fosite made leads to one through a pointer key.
type location string

func (l location) tag() string  { return string(l[:tagLength]) }
func (l location) rest() string { return string(l[tagLength:]) }

// subjectTag is the hash tag of a subject.
func subjectTag(subject string) string { return hash("subject\x00" + subject)[:tagLength] }

// NewSessionID returns an ID for a new session of the subject, to be set as fosite's request ID before tokens are made.
// It holds no more of the subject than a hash. The empty subject gets an ID that shares its slot with no other session.
func NewSessionID(subject string) string {
	tag := subjectTag(subject)
	if subject == "" {
		tag = randomID()
	}
	return tag + randomID()
}

// ImportedSessionID returns the ID of the session that goes on from a token of another server: always the same one for the
// same token.
func ImportedSessionID(subject, token string) string {
	return subjectTag(subject) + hash("adopted\x00" + token)[:tagLength]
}

// Signature returns the signature that a fosite strategy should give for a token of the session: with it the store knows
// the session of every token without a look-up. The token itself is only in it as a hash.
func Signature(sessionID, token string) string { return sessionID + "." + hash(token) }

// parseSessionID accepts the exact shape of NewSessionID, and nothing else: the ID comes out of tokens that a caller sent,
// and it becomes part of a key.
func parseSessionID(id string) (location, bool) {
	if len(id) != locationLength || !base64urlOnly(id) {
		return "", false
	}
	return location(id), true
}

// parseSignature splits what Signature joined. ok is false for a signature of another making.
func parseSignature(signature string) (l location, tokenHash string, ok bool) {
	id, tokenHash, found := strings.Cut(signature, ".")
	if !found || len(tokenHash) != hashLength || !base64urlOnly(tokenHash) {
		return "", "", false
	}
	l, ok = parseSessionID(id)
	return l, tokenHash, ok
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

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// randomID returns 128 random bits as 22 characters.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}
