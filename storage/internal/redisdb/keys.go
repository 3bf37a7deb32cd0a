package redisdb

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Keys names every Redis key of the store. No name holds a token, a user name or a client ID, only hashes of them.
//
//	key             holds                                                    TTL
//	s{xyz}id        a session: one login with all its tokens                 until its last token expires
//	i{xyz}          index of the sessions of the slot's subjects, by expiry  until the last session expires
//	e{xyz}          evicted sessions of the slot's subjects, by expiry       until the last session expires
//	o{xyz}hash      an authorization code                                    until it expires, and 15 minutes more
//	a:{tag}:name:h  sealed answer to a refresh, h = hash of the used token   the grace period
//	g:{tag}         when the sessions of a subject without a user were ended ten years
//	u:{tag}         a user                                                   none
//	d:{tag}         mark of a user who was dropped                           a year
//	p:hash          pointer from a foreign signature to its session          as the token
//	r:hash          pointer from a foreign request ID to its session         as the token
//	c:hash          a client                                                 none
//	j:hash          an assertion or an imported token that was used once     until it expires
//	pkce:hash       the challenge of an authorization code (RFC 7636)        as the code
//	oidc:hash       the OpenID Connect request of an authorization code      until the code expires
//	par:hash        a pushed authorization request (RFC 9126)                until it expires
//	nonce:hash      a nonce for verifiable credentials                       until it expires
//	f:{tag}         failures of a user, a network or a client, by network    until the last counter is empty
//	k:{tag}         networks that a user has logged in from (sorted set)     90 days after the last login
//	agents          user agents of sessions, by hash                         100 days after the last new one
//	clients         IDs of all clients (set)                                 none
//	users           names of all users (sorted set)                          none
//	kinds           kinds of password hashes that users have (set)           none
//	{roles}         roles (hash)                                             none
//	{roles}:supers  IDs of the roles that make a super user (set)            none
//	issuers         keys of issuers of assertions (hash)                     none
//	keys            the signing keys                                         none
//	meter           who uses which API, and since when it counts (hash)      180 days after the last use
//	epoch:2         random value by which an emptied Redis is recognised     none
//	epoch           in a store of the version before: keeps its servers out  none
//	probe           written by the readiness check                           a minute
//
// {tag} is a Redis Cluster hash tag made of the subject, and {xyz} is the short one of the same slot (SlotTag): all of one user
// lies in one slot, so that one script can read the user and end other sessions of that user. id is the session's name as 16
// bytes. "Foreign" are signatures and request IDs that this store did not make; they do not tell where the session is.
//
// The version before kept sessions in s:{tag}:name, and indexes in i:{tag}, e:{tag} and n:hash. They are read, and moved when
// a session is written.
type Keys struct{ Prefix string }

// Session is the key of a session. tag and name are the two halves of a session key of package storage.
func (k Keys) Session(tag, name string) string {
	return k.Prefix + "s{" + SlotTag(tag) + "}" + RawName(name)
}

// Sessions is the key of the index of sessions of all subjects whose tags are in the slot.
func (k Keys) Sessions(tag string) string { return k.Prefix + "i{" + SlotTag(tag) + "}" }

// Evicted is the key of the evicted sessions of all subjects whose tags are in the slot.
func (k Keys) Evicted(tag string) string { return k.Prefix + "e{" + SlotTag(tag) + "}" }

// EvictedAt is Evicted by the SlotTag.
func (k Keys) EvictedAt(slotTag string) string { return k.Prefix + "e{" + slotTag + "}" }

// SessionPattern is the pattern of SCAN for the keys of all sessions, also those of the version before.
func (k Keys) SessionPattern() string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(k.Prefix) + "s[{:]*"
}

// ParseSession takes the key of a session apart. ok is false for another key.
func (k Keys) ParseSession(key string) (raw, slotTag string, ok bool) {
	start, length := len(k.Prefix)+len("s{"), len("xyz}")+RawLength
	if !strings.HasPrefix(key, k.Prefix+"s{") || len(key) != start+length || key[start+3] != '}' {
		return "", "", false
	}
	return key[start+4:], key[start : start+3], true
}

// Code is the key of an authorization code, in the slot of its session. hash is Hash of its signature.
func (k Keys) Code(tag, hash string) string {
	return k.Prefix + "o{" + SlotTag(tag) + "}" + RawName(hash)
}

// EndedBefore is the key of the time before which all sessions of a subject without a user have ended.
func (k Keys) EndedBefore(tag string) string { return k.Prefix + "g:{" + tag + "}" }

// OldSession is the key that the version before used for a session, and OldIndex and OldEvicted those for indexes of its subject.
func (k Keys) OldSession(tag, name string) string { return k.Prefix + "s:{" + tag + "}:" + name }

// OldIndex is described at OldSession.
func (k Keys) OldIndex(tag string) string { return k.Prefix + "i:{" + tag + "}" }

// OldEvicted is described at OldSession.
func (k Keys) OldEvicted(tag string) string { return k.Prefix + "e:{" + tag + "}" }

// Challenge is the key of the PKCE request of an authorization code.
func (k Keys) Challenge(signature string) string { return k.Prefix + "pkce:" + Hash(signature) }

// OpenID is the key of the OpenID Connect request of an authorization code.
func (k Keys) OpenID(code string) string { return k.Prefix + "oidc:" + Hash(code) }

// Pushed is the key of a pushed authorization request.
func (k Keys) Pushed(requestURI string) string { return k.Prefix + "par:" + Hash(requestURI) }

// Nonce is the key of a nonce that belongs to an access token.
func (k Keys) Nonce(accessToken, nonce string) string {
	return k.Prefix + "nonce:" + Hash(Hash(accessToken)+nonce)
}

// Issuers is the key of the hash of the keys of issuers.
func (k Keys) Issuers() string { return k.Prefix + "issuers" }

// Answer is the key of the sealed answer to a refresh by the token whose hash is used.
func (k Keys) Answer(tag, name, used string) string {
	return k.Prefix + "a:{" + tag + "}:" + name + ":" + used
}

// User is the key of a user.
func (k Keys) User(tag string) string { return k.Prefix + "u:{" + tag + "}" }

// Dropped is the key of the mark of a dropped user.
func (k Keys) Dropped(tag string) string { return k.Prefix + "d:{" + tag + "}" }

// SignaturePointer is the key that leads from a foreign signature to its session. raw is the beginning of
// RawName of the signature's Hash.
func (k Keys) SignaturePointer(raw string) string { return k.Prefix + "p:" + TextName(raw) }

// OldSignaturePointer is that of the version before.
func (k Keys) OldSignaturePointer(signature string) string { return k.Prefix + "p:" + Hash(signature) }

// RequestPointer is the key that leads from a foreign request ID to its session.
func (k Keys) RequestPointer(requestID string) string { return k.Prefix + "r:" + Hash(requestID) }

// UserAgents is the key of the hash of user agents.
func (k Keys) UserAgents() string { return k.Prefix + "agents" }

// Client is the key of a client.
func (k Keys) Client(clientID string) string { return k.Prefix + "c:" + Hash(clientID)[:TagLength] }

// Assertion is the key of a used assertion.
func (k Keys) Assertion(jti string) string { return k.Prefix + "j:" + Hash(jti) }

// Failures is the key of the counters of failures of a user, a network or a client.
func (k Keys) Failures(tag string) string { return k.Prefix + "f:{" + tag + "}" }

// KnownNetworks is the key of the networks that a user has logged in from.
func (k Keys) KnownNetworks(tag string) string { return k.Prefix + "k:{" + tag + "}" }

// Clients is the key of the set of client IDs.
func (k Keys) Clients() string { return k.Prefix + "clients" }

// Users is the key of the sorted set of user names.
func (k Keys) Users() string { return k.Prefix + "users" }

// HashKinds is the key of the set of kinds of password hashes.
func (k Keys) HashKinds() string { return k.Prefix + "kinds" }

// Roles is the key of the hash of roles.
func (k Keys) Roles() string { return k.Prefix + "{roles}" }

// SuperRoles is the key of the set of roles that make a super user.
func (k Keys) SuperRoles() string { return k.Prefix + "{roles}:supers" }

// SigningKeys is the key of the signing keys.
func (k Keys) SigningKeys() string { return k.Prefix + "keys" }

// Usage is the key of the hash that counts who uses which API.
func (k Keys) Usage() string { return k.Prefix + "meter" }

// Epoch is the key by which an emptied Redis is recognised.
func (k Keys) Epoch() string { return k.Prefix + "epoch:2" }

// OldEpoch is that of the version before.
func (k Keys) OldEpoch() string { return k.Prefix + "epoch" }

// Probe is the key that the readiness check writes.
func (k Keys) Probe() string { return k.Prefix + "probe" }

const (
	// TagLength is the length of a hash tag, and of RandomID: base64url of 16 bytes.
	TagLength = 22
	// HashLength is the length of Hash: base64url of 32 bytes.
	HashLength = 43
)

// Hash returns SHA-256 as base64url.
func Hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SubjectTag returns the hash tag of a subject.
func SubjectTag(subject string) string { return Hash("subject\x00" + subject)[:TagLength] }

// RawName returns the first 16 bytes of what base64url text says, such as a session's name or a hash. Text that is not base64url
// or shorter is a bug of the caller, and gives an empty name.
func RawName(text string) string {
	raw := make([]byte, 17)
	if n, err := base64.RawURLEncoding.Decode(raw, []byte(text[:min(len(text), TagLength)])); err != nil || n < RawLength {
		return ""
	}
	return string(raw[:RawLength])
}

// RawLength is the length of RawName.
const RawLength = 16

// TextName is the inverse of RawName.
func TextName(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }

// SessionTag returns the hash tag of a session without a subject. It follows from the session's name, so that no two share one.
func SessionTag(name string) string { return Hash("session\x00" + name)[:TagLength] }

// RandomID returns 128 random bits as base64url.
func RandomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}
