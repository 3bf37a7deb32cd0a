package storage

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// credentialCache remembers for some minutes which credentials were verified, for clients that send their password with
// every request. It only saves the hash: the user record is read each time, so a user who is disabled or dropped is so at
// once, and the stored hash is part of what is remembered, so a changed password misses.
//
// It holds no password and nothing that one could be tried against: entries are HMACs under a key that lives and dies with
// the process. Only successes are in it. A nil cache is off.
type credentialCache struct {
	life time.Duration
	key  [32]byte
	now  func() time.Time

	mutex   sync.Mutex
	entries map[verified]time.Time // :: credentials → when they are to be verified again
}

type verified [sha256.Size]byte

// maxCredentials bounds the memory of the cache to about a megabyte.
const maxCredentials = 10_000

func newCredentialCache(life time.Duration) *credentialCache {
	if life <= 0 {
		return nil
	}
	c := &credentialCache{life: life, now: time.Now, entries: make(map[verified]time.Time)}
	_, _ = rand.Read(c.key[:]) // never fails: crypto/rand aborts the program instead
	return c
}

func (c *credentialCache) entry(stored, name, password string) verified {
	mac := hmac.New(sha256.New, c.key[:])
	var length [8]byte
	for _, part := range []string{stored, name, password} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return verified(mac.Sum(nil))
}

func (c *credentialCache) has(stored, name, password string) bool {
	if c == nil {
		return false
	}
	e := c.entry(stored, name, password)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	until, ok := c.entries[e]
	return ok && c.now().Before(until)
}

func (c *credentialCache) add(stored, name, password string) {
	if c == nil {
		return
	}
	e := c.entry(stored, name, password)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.entries) >= maxCredentials {
		c.evict()
	}
	c.entries[e] = c.now().Add(c.life)
}

// evict makes room: what has expired goes, and if nothing has, a tenth of the rest as the map yields it. Whoever is evicted
// while still in use pays for one hash.
func (c *credentialCache) evict() {
	now := c.now()
	for e, until := range c.entries {
		if !now.Before(until) {
			delete(c.entries, e)
		}
	}
	spare := maxCredentials / 10
	for e := range c.entries {
		if len(c.entries) <= maxCredentials-spare {
			return
		}
		delete(c.entries, e)
	}
}
