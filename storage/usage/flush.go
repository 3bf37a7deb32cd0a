package usage

import (
	"context"
	_ "embed"
	"maps"
	"slices"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// The two fields of the hash that are not callers, in milliseconds: since when the operations API is counted, and until when.
const (
	sinceField = "since"
	untilField = "until"
)

// Flush adds to Redis what was counted since the last time. On an error it is kept for the next time.
func (c *Counter) Flush(ctx context.Context) error {
	now := c.now()
	c.mutex.Lock()
	taken := c.pending
	c.pending = make(map[Caller]*tally)
	operations := c.operations
	marked := c.marked
	due := operations && now.Sub(marked).Abs() >= markPeriod
	c.mutex.Unlock()

	// The mark comes first: calls that are in Redis without it would not be seen as counted.
	chunks := slices.Collect(slices.Chunk(slices.Collect(maps.Keys(taken)), chunkSize))
	if len(chunks) == 0 && due {
		chunks = [][]Caller{nil}
	}
	for _, chunk := range chunks {
		if err := c.write(ctx, chunk, taken, operations, now, marked); err != nil {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			for caller, t := range taken {
				c.add(caller, *t)
			}
			return err
		}
		for _, caller := range chunk {
			delete(taken, caller)
		}
	}
	if operations && len(chunks) > 0 {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.marked = now
	}
	return nil
}

//go:embed add.lua
var addSource string

var addScript = redisdb.NewScript(addSource)

func (c *Counter) write(ctx context.Context, callers []Caller, taken map[Caller]*tally, operations bool, now, marked time.Time) error {
	mark, before := any(""), int64(0)
	if operations {
		mark = now.UnixMilli()
		if !marked.IsZero() {
			before = marked.Add(-maxLost).UnixMilli()
		}
	}
	call := redisdb.Call{
		Script: addScript, Keys: []string{c.db.Keys.Usage()},
		Args: []any{maxDetailed, maxFields, ttl.Milliseconds(), mark, MaxGap.Milliseconds(), before},
	}
	for _, caller := range callers {
		t := taken[caller]
		call.Args = append(call.Args, caller.field(), caller.anywhere().field(), caller.anyUser().field(), t.count, t.first, t.last)
	}
	_, err := c.db.Eval(ctx, "write usage", call)
	return err
}
