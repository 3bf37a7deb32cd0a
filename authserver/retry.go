package authserver

import (
	"crypto/sha256"
	"sync"
	"time"
)

// attempts remembers refreshes in doubt: the store may have rotated the token and its reply was lost. The client was told to
// retry (503). The retry offers the same tokens to the store again, which then finds them done or does it. New tokens would
// look like reuse once the grace is over, and end the session.
//
// An attempt is kept encrypted under the refresh token of the request, so that the memory of this process has no usable
// token either.
type attempts struct {
	mutex   sync.Mutex
	entries map[[sha256.Size]byte]attempt // :: hash of the refresh token → its attempt
}

// attempt is what a refresh in doubt was about to issue.
type attempt struct {
	sealed                            []byte // the tokens
	accessSignature, refreshSignature string
	until                             time.Time
}

const (
	// attemptTTL covers an outage with a restart of Redis. Later a retry is an ordinary refresh.
	attemptTTL = 15 * time.Minute
	// maxAttempts bounds the memory to about ten megabytes. Further attempts are not remembered.
	maxAttempts = 10_000
)

// recall returns the tokens of an attempt in doubt, as long as the access token is still valid.
func (a *attempts) recall(refreshToken string, now time.Time) (tokens issuedTokens, sealed []byte, ok bool) {
	key := sha256.Sum256([]byte(refreshToken))
	a.mutex.Lock()
	found, ok := a.entries[key]
	a.mutex.Unlock()
	if !ok || now.After(found.until) {
		return issuedTokens{}, nil, false
	}
	tokens, err := unsealTokens(refreshToken, found.sealed)
	if err != nil || now.Unix() >= tokens.Expires {
		return issuedTokens{}, nil, false
	}
	tokens.accessSignature, tokens.refreshSignature = found.accessSignature, found.refreshSignature
	return tokens, found.sealed, true
}

// remember keeps the tokens of an attempt in doubt.
func (a *attempts) remember(refreshToken string, tokens issuedTokens, sealed []byte, now time.Time) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.entries == nil {
		a.entries = make(map[[sha256.Size]byte]attempt)
	}
	if len(a.entries) >= maxAttempts {
		for key, entry := range a.entries {
			if now.After(entry.until) {
				delete(a.entries, key)
			}
		}
	}
	key := sha256.Sum256([]byte(refreshToken))
	if _, known := a.entries[key]; known || len(a.entries) < maxAttempts {
		a.entries[key] = attempt{
			sealed: sealed, accessSignature: tokens.accessSignature, refreshSignature: tokens.refreshSignature,
			until: now.Add(attemptTTL),
		}
	}
}

// forget drops the attempt of a token that the store has decided about.
func (a *attempts) forget(refreshToken string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(a.entries) > 0 {
		delete(a.entries, sha256.Sum256([]byte(refreshToken)))
	}
}
