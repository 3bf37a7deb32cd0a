package storage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// laterCalls are changes that no request waits for. They gather for some milliseconds and go out together, sent by a goroutine
// that ends when there are none left. What is lost does no harm. The zero value is ready for use.
type laterCalls struct {
	mutex   sync.Mutex
	waiting []redisdb.Call
	running bool
}

const (
	laterEvery = 20 * time.Millisecond
	laterChunk = 200
	// maxLater bounds the memory during an outage. What does not fit is not sent.
	maxLater = 10_000
	// laterAttempts is how often a chunk is sent while Redis is unavailable, within some five seconds.
	laterAttempts = 8
)

func (c *laterCalls) add(db *redisdb.DB, call redisdb.Call) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.waiting) >= maxLater {
		return
	}
	c.waiting = append(c.waiting, call)
	if !c.running {
		c.running = true
		go c.run(db)
	}
}

func (c *laterCalls) run(db *redisdb.DB) {
	pause, failed := laterEvery, 0
	for {
		time.Sleep(pause)
		chunk := c.take()
		if len(chunk) == 0 {
			return
		}
		if err := c.send(db, chunk); err == nil {
			pause, failed = laterEvery, 0
			continue
		}
		if pause, failed = 2*pause, failed+1; failed < laterAttempts {
			c.putBack(chunk)
		} else {
			pause, failed = laterEvery, 0
		}
	}
}

// send returns a panic, of a hook of the Redis client for example, as an error: nothing recovers it in this goroutine, so that it
// would end the process.
func (c *laterCalls) send(db *redisdb.DB, chunk []redisdb.Call) (err error) {
	const op = "send later"
	defer func() {
		if cause := recover(); cause != nil {
			err = unavailable.Error(op, fmt.Errorf("panic: %v", cause))
		}
	}()
	_, err = db.EvalAll(context.Background(), op, chunk, nil)
	return err
}

// take returns the oldest calls. When there are none, the goroutine must end.
func (c *laterCalls) take() []redisdb.Call {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	n := min(len(c.waiting), laterChunk)
	chunk := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	if n == 0 {
		c.waiting, c.running = nil, false
	}
	return chunk
}

func (c *laterCalls) putBack(chunk []redisdb.Call) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.waiting = append(chunk, c.waiting...)
}
