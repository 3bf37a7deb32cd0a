package password

import (
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
)

// Cache remembers for a while which credentials were verified, for clients that send their password with every request. It
// saves only the hashing: the user record is read each time, so that a user who is disabled or dropped is refused at once.
// The stored hash is part of an entry, so that no entry is found after the password was changed.
//
// Entries are HMACs under a random key of this process. They contain no password, and cannot be used to guess one without
// that key. Only successes are remembered. A nil *Cache remembers nothing. It is safe for concurrent use.
type Cache struct {
	// Now is the clock. NewCache sets time.Now.
	Now func() time.Time

	ttl time.Duration
	key *fingerprint.Key

	mutex   sync.Mutex
	entries fingerprint.Memory // :: credentials → when they are to be verified again
}

// NewCache returns a cache that remembers for ttl, or nil when ttl is not positive.
func NewCache(ttl time.Duration) *Cache {
	if ttl <= 0 {
		return nil
	}
	return &Cache{ttl: ttl, Now: time.Now, key: fingerprint.NewKey(), entries: make(fingerprint.Memory)}
}

// Has tells whether this password was verified for the user with this stored hash.
func (c *Cache) Has(stored, name, password string) bool {
	if c == nil {
		return false
	}
	e := c.key.Of(stored, name, password)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	until, ok := c.entries[e]
	return ok && c.Now().Before(until)
}

// Add remembers a password that was verified.
func (c *Cache) Add(stored, name, password string) {
	if c == nil {
		return
	}
	e := c.key.Of(stored, name, password)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	now := c.Now()
	c.entries.Remember(e, now.Add(c.ttl), now) // one that is forgotten too early costs one hash
}
