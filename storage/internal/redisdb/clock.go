package redisdb

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Clock is Redis's clock, read in a pipeline. Records expire by it, so whether they have is asked of it too: the clocks of
// several servers differ.
type Clock struct{ redis.Cmder }

// QueueClock reads the clock of the node that holds the key. In a Redis Cluster TIME, which names no key, would go to any
// node, whose clock may differ and which may be down; a script goes to the node of its key.
func (d *DB) QueueClock(ctx context.Context, p redis.Pipeliner, key string) *Clock {
	if _, cluster := d.Client.(*redis.ClusterClient); cluster {
		return &Clock{p.Eval(ctx, "return redis.call('TIME')", []string{key})}
	}
	return &Clock{p.Time(ctx)}
}

// Milliseconds returns the time as Unix milliseconds, after the pipeline has run.
func (c *Clock) Milliseconds() (int64, error) {
	switch cmd := c.Cmder.(type) {
	case *redis.TimeCmd:
		return cmd.Val().UnixMilli(), cmd.Err()
	case *redis.Cmd:
		parts, err := cmd.Int64Slice()
		if err == nil && len(parts) != 2 {
			err = errors.New("unexpected reply of TIME")
		}
		if err != nil {
			return 0, err
		}
		return parts[0]*1000 + parts[1]/1000, nil
	}
	return 0, errors.New("the clock was not read")
}
