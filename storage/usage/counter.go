// Package usage counts who uses which API, so that operators can see who still has to move before the operations API is
// switched off.
//
// A Counter comes from Store.NewUsageCounter of package storage.
package usage

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Counter counts the calls of each caller. It counts in memory; Run adds the numbers to those in Redis, where the counts of all
// servers meet. It is safe for concurrent use.
//
// The numbers are approximate: a server that is killed loses up to five seconds of them, and they are counted twice when a
// reply of Redis is lost. Callers who have not come for 90 days are forgotten.
//
// A counter of the operations API (see CountsOperations) also keeps in Redis since when its calls are counted, and until when.
// Losing the counts loses both, and a gap of more than a day between them starts anew: they never claim more than was watched.
type Counter struct {
	db  *redisdb.DB
	now func() time.Time

	mutex      sync.Mutex
	pending    map[Caller]*tally // calls since the last flush
	operations bool
	marked     time.Time // when Redis was last told that this process counts
}

// tally is a number of calls, and when the first and the last were, in milliseconds.
type tally struct{ count, first, last int64 }

const (
	maxDetailed = 10_000 // fields in Redis; beyond, addresses are not told apart
	maxFields   = 20_000 // in Redis; beyond, users and user agents are not told apart
	maxPending  = 5_000  // in memory; addresses are not told apart beyond half of it
	chunkSize   = 200    // fields in one script call
	ttl         = 180 * 24 * time.Hour
	flushPeriod = 5 * time.Second
	markPeriod  = time.Minute
)

const (
	// Memory is how long a caller who does not call is remembered.
	Memory = 90 * 24 * time.Hour
	// MaxGap is how long all servers may be down before counting starts anew.
	MaxGap = 24 * time.Hour
)

// New is for package storage, which has the db.
func New(db *redisdb.DB) *Counter {
	return &Counter{db: db, now: time.Now, pending: make(map[Caller]*tally)}
}

// CountsOperations says that this process serves the operations API and counts every call of it from now on. Redis is told by the
// next Flush, and by one in each minute after that.
func (c *Counter) CountsOperations() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.operations = true
}

// Count counts one call, and never waits for Redis. Past some thousands of callers, first addresses and then users and user agents
// are no longer told apart and are called "*".
func (c *Counter) Count(caller Caller) {
	at := c.now().UnixMilli()
	if len(caller.UserAgent) > maxUserAgent {
		caller.UserAgent = strings.Clone(caller.UserAgent[:maxUserAgent]) // or the whole header would be kept
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.add(caller, tally{1, at, at})
}

// add keeps calls for the next flush. The mutex is held.
func (c *Counter) add(caller Caller, t tally) {
	if c.pending[caller] == nil && len(c.pending) >= maxPending/2 {
		caller = caller.anywhere()
	}
	if c.pending[caller] == nil && len(c.pending) >= maxPending {
		caller = caller.anyUser()
	}
	sum := c.pending[caller]
	if sum == nil {
		c.pending[caller] = &t
		return
	}
	sum.count += t.count
	sum.first, sum.last = min(sum.first, t.first), max(sum.last, t.last)
}

// Run calls Flush at once and every five seconds until the context ends, and then once more. What could not be written is written
// the next time. It returns the error of the last call.
func (c *Counter) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		if ctx.Err() != nil {
			return c.Flush(context.WithoutCancel(ctx))
		}
		_ = c.Flush(ctx) // it is tried again with the next ones
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
