package resource

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// maxCached bounds the memory of the cache to a few megabytes.
const maxCached = 10_000

// cache keeps introspection results for a bounded time and a bounded number of tokens. Concurrent requests with the same
// token share one introspection. Errors other than ErrInvalid are not kept.
type cache struct {
	ttl time.Duration // negative: nothing is kept
	now func() time.Time

	mutex   sync.Mutex
	entries map[[sha256.Size]byte]*entry // :: hash of the token → its result
}

type entry struct {
	done   chan struct{} // closed when the fields below are set
	claims *Claims
	err    error
	until  time.Time
}

func newCache(ttl time.Duration, now func() time.Time) *cache {
	return &cache{ttl: ttl, now: now, entries: map[[sha256.Size]byte]*entry{}}
}

// get returns the result for a token: from the cache, or from introspect.
func (c *cache) get(ctx context.Context, token string, introspect func(context.Context) (*Claims, error)) (*Claims, error) {
	if c.ttl < 0 {
		return introspect(ctx)
	}
	key := sha256.Sum256([]byte(token))
	c.mutex.Lock()
	e, ok := c.entries[key]
	if !ok || e.expired(c.now()) {
		e = &entry{done: make(chan struct{})}
		c.makeRoom()
		c.entries[key] = e
		// It goes on if the first request is cancelled, because others wait for it too.
		go c.fill(context.WithoutCancel(ctx), key, e, introspect)
	}
	c.mutex.Unlock()
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if e.err == nil && !c.now().Before(e.claims.Expires) {
		return nil, ErrExpired
	}
	return e.claims, e.err
}

func (c *cache) fill(ctx context.Context, key [sha256.Size]byte, e *entry, introspect func(context.Context) (*Claims, error)) {
	asked := c.now()
	e.claims, e.err = guarded(func() (*Claims, error) { return introspect(ctx) })
	e.until = asked.Add(c.ttl)
	c.mutex.Lock()
	if e.err != nil && !errors.Is(e.err, ErrInvalid) && c.entries[key] == e {
		delete(c.entries, key)
	}
	c.mutex.Unlock()
	close(e.done)
}

// expired tells whether the entry has a result that is too old. An entry without a result is not expired.
func (e *entry) expired(now time.Time) bool {
	select {
	case <-e.done:
		return !now.Before(e.until)
	default:
		return false
	}
}

// makeRoom drops expired entries, and any others if that is not enough. The caller holds the mutex.
func (c *cache) makeRoom() {
	if len(c.entries) < maxCached {
		return
	}
	now := c.now()
	for key, e := range c.entries {
		if e.expired(now) {
			delete(c.entries, key)
		}
	}
	for key := range c.entries {
		if len(c.entries) < maxCached*9/10 {
			return
		}
		delete(c.entries, key)
	}
}
