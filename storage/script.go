package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

var (
	transitionScript = redis.NewScript(transitionSource)

	// pointScript sets a pointer, and never lets it end before the token that it is for.
	pointScript = redis.NewScript(`
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
local ttl = redis.call('PTTL', KEYS[1])
if ttl < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'ok'}`)

	// indexScript adds a session to an index, drops what has expired from it, and lets the index live as long as its last.
	indexScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return {'ok'}`)

	// endScript ends sessions of one subject, a chunk at a time. KEYS: sessions of the subject, evicted ones, then sessions.
	endScript = redis.NewScript(`
for i = 3, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('ZREM', KEYS[1], ARGV[i - 2])
  redis.call('ZREM', KEYS[2], string.sub(ARGV[i - 2], 1, 22))
end
return {'ok'}`)
)

// call is one script with its keys, which all lie in one slot.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
}

// eval runs a script and returns its reply. Others beside it run in the same round trip, and whether they do is of no
// consequence. All scripts here may run twice: go-redis sends a command again when its reply was lost, and so may a caller
// who got a don't-know.
func (d *db) eval(ctx context.Context, op string, c call, beside ...call) (any, error) {
	var reply any
	err := d.write(ctx, op, func(ctx context.Context) error {
		var err error
		reply, err = d.send(ctx, false, c, beside)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			// The first EVALSHA of a script after a start, a failover or SCRIPT FLUSH: nothing ran.
			reply, err = d.send(ctx, true, c, beside)
		}
		return err
	})
	return reply, err
}

func (d *db) send(ctx context.Context, source bool, c call, beside []call) (any, error) {
	if d.options.Replicas > 0 {
		return d.sendReplicated(ctx, source, c, beside)
	}
	if len(beside) == 0 {
		return c.queue(ctx, d.rdb, source).Result()
	}
	var result *redis.Cmd
	others := make([]*redis.Cmd, len(beside))
	_, _ = d.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		result = c.queue(ctx, p, source)
		for i, other := range beside {
			others[i] = other.queue(ctx, p, source)
		}
		return nil
	})
	for i, other := range beside {
		if redis.HasErrorPrefix(others[i].Err(), "NOSCRIPT") && !source {
			other.queue(ctx, d.rdb, true)
		}
	}
	return result.Result()
}

func (c call) queue(ctx context.Context, to redis.Scripter, source bool) *redis.Cmd {
	if source {
		return c.script.Eval(ctx, to, c.keys, c.args...)
	}
	return c.script.EvalSha(ctx, to, c.keys, c.args...)
}

// evalAll runs many scripts in one round trip, for bulk work, and returns their replies in order.
func (d *db) evalAll(ctx context.Context, op string, calls []call) ([]any, error) {
	replies := make([]any, len(calls))
	err := d.write(ctx, op, func(ctx context.Context) error {
		results := make([]*redis.Cmd, len(calls))
		run := func(source bool) error {
			_, err := d.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, c := range calls {
					results[i] = c.queue(ctx, p, source)
				}
				return nil
			})
			return err
		}
		err := run(false)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			err = run(true)
		}
		for i, r := range results {
			replies[i] = r.Val()
		}
		return err
	})
	return replies, err
}

// sendReplicated sends the script with a WAIT behind it on the very same connection: WAIT counts the replicas that have
// the writes of its own connection.
func (d *db) sendReplicated(ctx context.Context, source bool, c call, beside []call) (any, error) {
	node, err := d.primary(ctx, c.keys[0])
	if err != nil {
		return nil, err
	}
	var result, wait *redis.Cmd
	if _, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		result = c.queue(ctx, p, source)
		wait = p.Do(ctx, "WAIT", d.options.Replicas, d.options.ReplicaTimeout.Milliseconds())
		return nil
	}); err != nil {
		return nil, err
	}
	have, err := wait.Int64()
	if err != nil {
		return nil, err
	}
	if have < int64(d.options.Replicas) {
		return nil, fmt.Errorf("%d of %d replicas have the write", have, d.options.Replicas)
	}
	for _, other := range beside {
		other.queue(ctx, d.rdb, true)
	}
	return result.Result()
}

// primary returns the client of the one node that holds the key.
func (d *db) primary(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := d.rdb.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return d.rdb, nil
}

// endSubject ends every session of a subject: refresh and access tokens die with them. It returns nil when none is left.
func (d *db) endSubject(ctx context.Context, subject string) error {
	const chunk = 500
	tag := subjectTag(subject)
	for {
		var members []string
		err := d.write(ctx, "end sessions", func(ctx context.Context) error {
			var err error
			members, err = d.rdb.ZRange(ctx, d.keys.index(tag), 0, chunk-1).Result()
			return err
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if len(members) == 0 {
			return nil
		}
		c := call{script: endScript, keys: []string{d.keys.index(tag), d.keys.evicted(tag)}}
		for _, m := range slices.Compact(members) {
			c.keys = append(c.keys, d.keys.session(location(tag+m[:tagLength])))
			c.args = append(c.args, m)
		}
		if _, err := d.eval(ctx, "end sessions", c); err != nil {
			return err
		}
	}
}
