package resource

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// maxAnswers bounds the memory of the cache: at some hundred bytes each, a few megabytes.
const maxAnswers = 10_000

// answers caches what introspection said, for a bounded time and a bounded number of tokens. Requests that come with one
// token at once ask once. Don't-knows are not kept.
type answers struct {
	life time.Duration
	now  func() time.Time

	mutex sync.Mutex
	known map[[sha256.Size]byte]*answer // hash of the token → what was said of it
}

type answer struct {
	done   chan struct{} // closed when the fields below are set
	claims *Claims
	err    error
	until  time.Time
}

func newAnswers(life time.Duration, now func() time.Time) *answers {
	return &answers{life: life, now: now, known: map[[sha256.Size]byte]*answer{}}
}

func (c *answers) get(ctx context.Context, token string, ask func(context.Context) (*Claims, error)) (*Claims, error) {
	if c.life < 0 {
		return ask(ctx)
	}
	key := sha256.Sum256([]byte(token))
	c.mutex.Lock()
	a, ok := c.known[key]
	if ok && a.over(c.now()) {
		ok = false
	}
	if !ok {
		a = &answer{done: make(chan struct{})}
		c.makeRoom()
		c.known[key] = a
		// The question outlives the one who asked first: others wait for it too.
		go c.fill(context.WithoutCancel(ctx), key, a, ask)
	}
	c.mutex.Unlock()
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a.err == nil && !c.now().Before(a.claims.Expires) {
		return nil, ErrExpired
	}
	return a.claims, a.err
}

func (c *answers) fill(ctx context.Context, key [sha256.Size]byte, a *answer, ask func(context.Context) (*Claims, error)) {
	asked := c.now()
	a.claims, a.err = ask(ctx)
	a.until = asked.Add(c.life)
	c.mutex.Lock()
	if verdict := a.err == nil || errors.Is(a.err, ErrInvalid); !verdict && c.known[key] == a {
		delete(c.known, key)
	}
	c.mutex.Unlock()
	close(a.done)
}

// over tells whether the answer has been given and is too old.
func (a *answer) over(now time.Time) bool {
	select {
	case <-a.done:
		return !now.Before(a.until)
	default:
		return false
	}
}

// makeRoom drops what is too old, and if that is not enough, any. The caller holds the mutex.
func (c *answers) makeRoom() {
	if len(c.known) < maxAnswers {
		return
	}
	now := c.now()
	for key, a := range c.known {
		if a.over(now) {
			delete(c.known, key)
		}
	}
	for key := range c.known {
		if len(c.known) < maxAnswers*9/10 {
			return
		}
		delete(c.known, key)
	}
}
