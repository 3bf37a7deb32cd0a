package redisdb

import (
	"cmp"
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script that changes the store. On a single node it runs only while the store has the epoch of the process.
//
// Redis does not roll a script back. One that writes more than once is written so that after a failure of any of its commands a
// repeat of the operation completes it: indexes and TTLs first, and last what the repeat looks at to see what is left to do.
type Script struct {
	source         string
	guarded, plain *redis.Script
}

// guard goes before a script. A script that runs on a single node may name a key of any slot.
//
//	KEYS  those of the script, then the epoch
//	ARGV  those of the script, then the epoch of the process
//	reply the error EPOCH, or that of the script
const guard = `local epoch_key, epoch = table.remove(KEYS), table.remove(ARGV) ` +
	`if redis.call('GET', epoch_key) ~= epoch then return redis.error_reply('EPOCH the store is another one') end` + "\n"

// all are the scripts of the packages that are linked in.
var all []*Script

// NewScript returns a script. All changes are scripts: that is how none is made under another epoch. It is for package variables.
func NewScript(source string) *Script {
	s := &Script{source: source, guarded: redis.NewScript(guard + source), plain: redis.NewScript(source)}
	all = append(all, s)
	return s
}

// Scripts returns all scripts, for the test that makes each command of each of them fail.
func Scripts() []*Script { return all }

// Source is the script as NewScript got it.
func (s *Script) Source() string { return s.source }

// Hashes are the names under which Redis may be asked to run it.
func (s *Script) Hashes() []string { return []string{s.guarded.Hash(), s.plain.Hash()} }

// Call is one run of a script. Its keys all lie in one Redis Cluster slot.
//
// Every script must bear to run twice: go-redis sends a command again when its reply was lost, and so may a caller who was
// told that the store is unavailable.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any
}

// Command is a call that runs one command of Redis on one key.
func Command(name, key string, args ...any) Call {
	return Call{Script: commandScript, Keys: []string{key}, Args: append([]any{name}, args...)}
}

// commandScript runs a command.
//
//	KEYS  1 the key
//	ARGV  1 the command   then its arguments after the key
//	reply that of the command
//	twice leaves what once does: the commands that are used add, remove or replace
var commandScript = NewScript(`return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))`)

// queue sends the call. With source it sends the script itself, otherwise its hash.
func (d *DB) queue(ctx context.Context, to redis.Scripter, c Call, epoch string, source bool) *redis.Cmd {
	script, keys, args := c.Script.plain, c.Keys, c.Args
	if d.singleNode {
		script = c.Script.guarded
		keys = append(keys[:len(keys):len(keys)], d.Keys.Epoch())
		args = append(args[:len(args):len(args)], epoch)
	}
	if source {
		return script.Eval(ctx, to, keys, args...)
	}
	return script.EvalSha(ctx, to, keys, args...)
}

// noScript tells whether Redis does not know a script yet: after a start, a failover or SCRIPT FLUSH. Nothing has run then.
func noScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// refusal returns ErrLost for the answer of guard, and every other error as it is.
func (d *DB) refusal(err error) error {
	if redis.HasErrorPrefix(err, "EPOCH") {
		return d.lost()
	}
	return err
}

// Eval runs a script and returns its reply.
//
// Under another epoch than that of the process it is unavailable. Then nothing was written, except on Redis Cluster, where the
// epoch may be on another node and is asked for in the same round trip: a script may have run, but its reply is not used. While
// that node is silent, see withEpoch.
func (d *DB) Eval(ctx context.Context, op string, c Call) (any, error) {
	epoch, err := d.Epoch(context.WithoutCancel(ctx), op)
	if err != nil {
		return nil, err
	}
	var reply any
	err = d.write(ctx, op, func(ctx context.Context) error {
		var err error
		reply, err = d.send(ctx, epoch, false, c)
		if noScript(err) {
			reply, err = d.send(ctx, epoch, true, c)
		}
		return d.refusal(err)
	})
	return reply, err
}

// EvalAfter is Eval for a script that needs others to have run, which may be in other slots: all go out in one round trip, in order
// where one node has them all. If one of them fails, EvalAfter fails, and the script may have run: then its reply comes with the
// error, unless that was lost. With Config.Replicas each has a round trip of its own.
func (d *DB) EvalAfter(ctx context.Context, op string, before []Call, c Call) (any, error) {
	if d.replicas > 0 || len(before) == 0 {
		for _, other := range before {
			if _, err := d.Eval(ctx, op, other); err != nil {
				return nil, err
			}
		}
		return d.Eval(ctx, op, c)
	}
	replies, err := d.EvalAll(ctx, op, append(before[:len(before):len(before)], c), nil)
	if len(replies) == 0 {
		return nil, err
	}
	return replies[len(before)], err
}

func (d *DB) send(ctx context.Context, epoch string, source bool, c Call) (any, error) {
	if d.replicas > 0 {
		return d.sendReplicated(ctx, epoch, source, c)
	}
	if d.singleNode {
		return d.queue(ctx, d.Client, c, epoch, source).Result()
	}
	var result *redis.Cmd
	err := d.withEpoch(ctx, epoch, func(ctx context.Context, ask bool) (found *redis.StringCmd, err error) {
		_, _ = d.Client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command carries its own error
			result = d.queue(ctx, p, c, epoch, source)
			if ask {
				found = p.Get(ctx, d.Keys.Epoch())
			}
			return nil
		})
		return found, d.failure(nil, result)
	})
	return result.Val(), err
}

// failure tells why scripts have no reply, of a pipeline whose own error is err. On a Cluster go-redis may give the error of a silent
// node to commands that other nodes have answered; no script answers nil.
func (d *DB) failure(err error, scripts ...*redis.Cmd) error {
	for _, s := range scripts {
		if failed := cmp.Or(s.Err(), err); (s.Val() == nil || d.singleNode) && !errors.Is(failed, redis.Nil) && failed != nil {
			return failed
		}
	}
	return nil
}

// sendReplicated sends the script with a WAIT behind it on the same connection: WAIT counts the replicas that have the
// writes of its own connection. INFO tells whether a replica has left meanwhile.
func (d *DB) sendReplicated(ctx context.Context, epoch string, source bool, c Call) (any, error) {
	if err := d.askEpoch(ctx, epoch); err != nil { // first, since the one connection cannot ask
		return nil, err
	}
	node, address, err := d.primary(ctx, c.Keys[0])
	if err != nil {
		return nil, err
	}
	var result, wait *redis.Cmd
	var info *redis.StringCmd
	if _, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		result = d.queue(ctx, p, c, epoch, source)
		wait = p.Do(ctx, "WAIT", d.attached.wanted(address, d.replicas), d.replicaTimeout.Milliseconds())
		info = p.Info(ctx, "replication")
		return nil
	}); err != nil {
		d.attached.forget(address)
		return nil, err
	}
	have, err := wait.Int64()
	if err != nil {
		return nil, err
	}
	if err := d.attached.judge(address, info.Val(), have, d.replicas); err != nil {
		return nil, err
	}
	return result.Result()
}

// primary returns the client of the one node that holds the key. The address is empty for that of Sentinel, which changes.
func (d *DB) primary(ctx context.Context, key string) (node redis.UniversalClient, address string, err error) {
	if cluster, ok := d.Client.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, "", err
		}
		return node, node.Options().Addr, nil
	}
	return d.Client, "", nil
}

// EvalAll runs scripts in one round trip, which need not lie in one slot, and returns their replies in order. reads, unless
// it is nil, queues commands that only read into the same round trip and may be called twice; their errors are its caller's to
// check. Under another epoch it is unavailable, as Eval is.
//
// It does not wait for replicas (Config.Replicas): its callers count logins, which matter for minutes, and import users, which
// can be repeated.
func (d *DB) EvalAll(ctx context.Context, op string, calls []Call, reads func(redis.Pipeliner)) ([]any, error) {
	var epoch string
	if len(calls) > 0 {
		var err error
		if epoch, err = d.Epoch(context.WithoutCancel(ctx), op); err != nil {
			return nil, err
		}
	}
	replies := make([]any, len(calls))
	results := make([]*redis.Cmd, len(calls))
	run := func(ctx context.Context, source bool) error {
		once := func(ctx context.Context, ask bool) (found *redis.StringCmd, err error) {
			_, err = d.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, c := range calls {
					results[i] = d.queue(ctx, p, c, epoch, source)
				}
				if reads != nil {
					reads(p)
				}
				if ask {
					found = p.Get(ctx, d.Keys.Epoch())
				}
				return nil
			})
			if err = FirstError(err); len(calls) == 0 || reads != nil && Silent(err) {
				return found, err // what is read may lack its reply too
			}
			return found, d.failure(err, results...)
		}
		if len(calls) == 0 {
			_, err := once(ctx, false)
			return err
		}
		return d.withEpoch(ctx, epoch, once)
	}
	err := d.write(ctx, op, func(ctx context.Context) error {
		err := run(ctx, false)
		if noScript(err) {
			err = run(ctx, true)
		}
		for i, r := range results {
			replies[i] = r.Val()
		}
		return d.refusal(err)
	})
	return replies, err
}
