// Package usage counts who uses which API, so that operators can see who still has to move before the operations API is
// switched off.
//
// A Counter comes from Store.NewUsageCounter of package storage.
package usage

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Counter counts the calls of each caller: an API, a client, a user and a user agent. It counts in memory; Run adds the
// numbers to those in Redis, where the counts of all servers meet. It is safe for concurrent use.
//
// The numbers are approximate: a server that is killed loses up to five seconds of them, and they are counted twice when a
// reply of Redis is lost. Callers who have not come for 90 days are forgotten.
type Counter struct {
	db  *redisdb.DB
	now func() time.Time

	mutex   sync.Mutex
	pending map[string]*tally // :: field → calls since the last flush
}

// tally is a number of calls, and when the first and the last were, in milliseconds.
type tally struct{ count, first, last int64 }

const (
	maxFields   = 20_000 // in Redis
	maxPending  = 5_000  // in memory
	chunkSize   = 200    // fields in one script call
	ttl         = 180 * 24 * time.Hour
	memory      = 90 * 24 * time.Hour
	flushPeriod = 5 * time.Second
)

// New is for package storage, which has the db.
func New(db *redisdb.DB) *Counter {
	return &Counter{db: db, now: time.Now, pending: make(map[string]*tally)}
}

// Count counts one call, and never waits for Redis. Past some thousands of callers, users and user agents are no longer told
// apart and are called "*".
func (c *Counter) Count(api, client, user, userAgent string) {
	at := c.now().UnixMilli()
	name := field(api, client, user, userAgent)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.pending[name] == nil && len(c.pending) >= maxPending {
		name = field(api, client, anybody, anybody)
	}
	c.add(name, tally{1, at, at})
}

func (c *Counter) add(name string, t tally) {
	sum := c.pending[name]
	if sum == nil {
		c.pending[name] = &t
		return
	}
	sum.count += t.count
	sum.first, sum.last = min(sum.first, t.first), max(sum.last, t.last)
}

// Run calls Flush every five seconds until the context ends, and then once more. What could not be written is written the
// next time. It returns the error of the last call.
func (c *Counter) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = c.Flush(ctx) // it is tried again with the next ones
		case <-ctx.Done():
			return c.Flush(context.WithoutCancel(ctx))
		}
	}
}

// Flush adds to Redis what was counted since the last time. On an error it is kept for the next time.
func (c *Counter) Flush(ctx context.Context) error {
	c.mutex.Lock()
	taken := c.pending
	c.pending = make(map[string]*tally)
	c.mutex.Unlock()

	names := make([]string, 0, len(taken))
	for name := range taken {
		names = append(names, name)
	}
	for chunk := range slices.Chunk(names, chunkSize) {
		if err := c.write(ctx, chunk, taken); err != nil {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			for name, t := range taken {
				c.add(name, *t)
			}
			return err
		}
		for _, name := range chunk {
			delete(taken, name)
		}
	}
	return nil
}

// addScript adds calls to the hash.
//
//	KEYS  1 the hash: field → "<count> <first> <last>", times in ms
//	ARGV  1 the most fields it may have   2 its TTL in ms   then for each caller: field, the field that is used instead
//	      when the hash is full, count, first, last
//	reply 1
//
// A second run after a lost reply counts twice.
var addScript = redisdb.NewScript(`
local fields = redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 5 do
  local field, count, first, last = ARGV[i], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local found = redis.call('HGET', KEYS[1], field)
  if not found and fields >= tonumber(ARGV[1]) then
    field = ARGV[i + 1]
    found = redis.call('HGET', KEYS[1], field)
  end
  if found then
    local c, f, l = string.match(found, '^(%d+) (%d+) (%d+)$')
    if c then count, first, last = count + c, math.min(first, f), math.max(last, l) end
  else
    fields = fields + 1
  end
  redis.call('HSET', KEYS[1], field, string.format('%d %d %d', count, first, last))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

func (c *Counter) write(ctx context.Context, names []string, taken map[string]*tally) error {
	call := redisdb.Call{Script: addScript, Keys: []string{c.db.Keys.Usage()}, Args: []any{maxFields, ttl.Milliseconds()}}
	for _, name := range names {
		e, err := parse(name, "")
		if err != nil {
			continue
		}
		t := taken[name]
		call.Args = append(call.Args, name, field(e.API, e.Client, anybody, anybody), t.count, t.first, t.last)
	}
	_, err := c.db.Eval(ctx, "write usage", call)
	return err
}
