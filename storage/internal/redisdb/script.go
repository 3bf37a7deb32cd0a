package redisdb

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Call is one run of a script. Its keys all lie in one Redis Cluster slot.
//
// Every script must bear to run twice: go-redis sends a command again when its reply was lost, and so may a caller who was
// told that the store is unavailable.
type Call struct {
	Script *redis.Script
	Keys   []string
	Args   []any
}

func (c Call) queue(ctx context.Context, to redis.Scripter, source bool) *redis.Cmd {
	if source {
		return c.Script.Eval(ctx, to, c.Keys, c.Args...)
	}
	return c.Script.EvalSha(ctx, to, c.Keys, c.Args...)
}

// noScript tells whether Redis does not know a script yet: after a start, a failover or SCRIPT FLUSH. Nothing has run then.
func noScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// Eval runs a script and returns its reply. The calls beside it run in the same round trip; whether they succeed does not
// matter to the result.
func (d *DB) Eval(ctx context.Context, op string, c Call, beside ...Call) (any, error) {
	var reply any
	err := d.Write(ctx, op, func(ctx context.Context) error {
		var err error
		reply, err = d.send(ctx, false, c, beside)
		if noScript(err) {
			reply, err = d.send(ctx, true, c, beside)
		}
		return err
	})
	return reply, err
}

func (d *DB) send(ctx context.Context, source bool, c Call, beside []Call) (any, error) {
	if d.replicas > 0 {
		return d.sendReplicated(ctx, source, c, beside)
	}
	if len(beside) == 0 {
		return c.queue(ctx, d.Client, source).Result()
	}
	var result *redis.Cmd
	others := make([]*redis.Cmd, len(beside))
	_, _ = d.Client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command carries its own error
		result = c.queue(ctx, p, source)
		for i, other := range beside {
			others[i] = other.queue(ctx, p, source)
		}
		return nil
	})
	for i, other := range beside {
		if noScript(others[i].Err()) && !source {
			other.queue(ctx, d.Client, true)
		}
	}
	return result.Result()
}

// sendReplicated sends the script with a WAIT behind it on the same connection: WAIT counts the replicas that have the
// writes of its own connection.
func (d *DB) sendReplicated(ctx context.Context, source bool, c Call, beside []Call) (any, error) {
	node, err := d.primary(ctx, c.Keys[0])
	if err != nil {
		return nil, err
	}
	var result, wait *redis.Cmd
	if _, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		result = c.queue(ctx, p, source)
		wait = p.Do(ctx, "WAIT", d.replicas, d.replicaTimeout.Milliseconds())
		return nil
	}); err != nil {
		return nil, err
	}
	have, err := wait.Int64()
	if err != nil {
		return nil, err
	}
	if have < int64(d.replicas) {
		return nil, fmt.Errorf("%d of %d replicas have the write", have, d.replicas)
	}
	for _, other := range beside {
		other.queue(ctx, d.Client, true)
	}
	return result.Result()
}

// primary returns the client of the one node that holds the key.
func (d *DB) primary(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := d.Client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return d.Client, nil
}

// EvalAll runs scripts in one round trip, which need not lie in one slot, and returns their replies in order. extra, unless
// it is nil, queues commands into the same round trip and may be called twice; their errors are its caller's to check.
func (d *DB) EvalAll(ctx context.Context, op string, calls []Call, extra func(redis.Pipeliner)) ([]any, error) {
	replies := make([]any, len(calls))
	results := make([]*redis.Cmd, len(calls))
	run := func(ctx context.Context, source bool) error {
		_, err := d.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, c := range calls {
				results[i] = c.queue(ctx, p, source)
			}
			if extra != nil {
				extra(p)
			}
			return nil
		})
		commands := make([]redis.Cmder, len(results))
		for i, r := range results {
			commands[i] = r
		}
		return FirstError(err, commands...)
	}
	err := d.Write(ctx, op, func(ctx context.Context) error {
		err := run(ctx, false)
		if noScript(err) {
			err = run(ctx, true)
		}
		for i, r := range results {
			replies[i] = r.Val()
		}
		return err
	})
	return replies, err
}
