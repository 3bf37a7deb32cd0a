// Package redisdb is what all parts of the store share to talk to Redis: the client, the names of the keys, a deadline and
// a circuit breaker around every operation, scripts, and the check that Redis has not lost its data.
package redisdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Config says how to talk to Redis. Every field but Client has the meaning of the field of storage.Options with its name;
// none has a default here.
type Config struct {
	Client         redis.UniversalClient
	Prefix         string
	Timeout        time.Duration
	Replicas       int
	ReplicaTimeout time.Duration
	MustExist      bool
	ShardOutage    time.Duration
	OnLost         func()
}

// DB runs operations on Redis. It is safe for concurrent use.
type DB struct {
	Client redis.UniversalClient
	Keys   Keys

	timeout        time.Duration
	replicas       int
	replicaTimeout time.Duration
	attached       attached // to the primaries, if replicas > 0
	mustExist      bool
	onLost         func()
	singleNode     bool                   // a script may name keys of different slots
	epoch          atomic.Pointer[string] // the one that this process saw first; nil: none yet
	reported       sync.Once              // that it was lost
	outage         epochOutage
	breaker        *breaker
}

// New returns a DB. It does not talk to Redis.
func New(c Config) (*DB, error) {
	if c.Client == nil {
		return nil, errors.New("storage: no Redis client")
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return nil, fmt.Errorf("storage: prefix %q contains a brace, which would move every key to one Redis Cluster slot", c.Prefix)
	}
	_, singleNode := c.Client.(*redis.Client) // standalone or Sentinel
	return &DB{
		Client: c.Client, Keys: Keys{Prefix: c.Prefix}, breaker: newBreaker(newProbe(c.Client)), outage: epochOutage{bound: c.ShardOutage},
		timeout: c.Timeout, replicas: c.Replicas, replicaTimeout: c.ReplicaTimeout,
		mustExist: c.MustExist, onLost: c.OnLost, singleNode: singleNode,
	}, nil
}

// Open tells whether operations fail at once, because Redis did not answer.
func (d *DB) Open() bool { return d.breaker.isOpen() }

// Replicas is how many replicas must confirm a write.
func (d *DB) Replicas() int { return d.replicas }

// Do runs one operation under the deadline and the circuit breaker. redis.Nil is returned as it is; every other error is
// marked as unavailable.
func (d *DB) Do(ctx context.Context, op string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	err := d.breaker.run(func() error { return f(ctx) })
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	if outdated(err) {
		// go-redis does not see the MOVED that sendReplicated gets from one node.
		d.reload(ctx)
	}
	return unavailable.Error(op, err)
}

// outdated tells whether an error means that the slots of a Cluster may have moved to other nodes.
func outdated(err error) bool {
	return unreachable(err) && !errors.Is(err, redis.ErrPoolTimeout) || redis.HasErrorPrefix(err, "MOVED")
}

// write is Do for changes. The caller's cancellation does not end it: a client that hangs up must not leave half a change.
func (d *DB) write(ctx context.Context, op string, f func(ctx context.Context) error) error {
	return d.Do(context.WithoutCancel(ctx), op, f)
}

// FirstError returns what went wrong in a pipeline, whose own error is err. A key that is missing is not an error.
func FirstError(err error, commands ...redis.Cmder) error {
	for _, c := range commands {
		if c.Err() != nil && !errors.Is(c.Err(), redis.Nil) {
			return c.Err()
		}
	}
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
