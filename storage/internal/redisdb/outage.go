package redisdb

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// The epoch is on one node of a Redis Cluster, and scripts run on all. While its node is silent, the others need not stop: a Redis
// that was emptied or replaced answers, with another epoch or none. So what Redis answers counts for Config.ShardOutage after this
// process last read its epoch there. The bound is for a process that is cut off from that node alone, and for data that is lost
// while the node is silent. What Redis does not hold is another matter: Missing asks, and does not know while nobody answers.

// epochRetry is how often a silent node is asked for the epoch, by one call: each would wait for it otherwise.
const epochRetry = time.Second

// epochOutage knows when the epoch was last read.
type epochOutage struct {
	bound    time.Duration
	verified atomic.Pointer[time.Time] // when Redis was asked that last answered with the epoch of this process; nil: lost, or never
	retry    atomic.Pointer[time.Time] // while its node is silent: when to ask again
}

// Recent tells whether the epoch of this process was in Redis within Config.ShardOutage, and has not been found lost since. It is
// never so on a single node, which is silent as a whole.
func (d *DB) Recent() bool {
	at := d.outage.verified.Load()
	return !d.singleNode && at != nil && time.Since(*at) < d.outage.bound
}

// answered notes that Redis, asked at that time, holds the epoch.
func (o *epochOutage) answered(asked time.Time) {
	o.verified.Store(&asked)
	o.retry.Store(nil)
}

func (o *epochOutage) silent() {
	at := time.Now().Add(epochRetry)
	o.retry.Store(&at)
}

func (o *epochOutage) forget() { o.verified.Store(nil) }

// due tells whether to ask for the epoch. While its node is silent one caller is told so each time.
func (o *epochOutage) due() bool {
	at := o.retry.Load()
	if at == nil {
		return true
	}
	next := time.Now().Add(epochRetry)
	return !time.Now().Before(*at) && o.retry.CompareAndSwap(at, &next)
}

// Silent tells whether an error says that a node did not answer, or cannot serve at the moment: not that it has refused something.
func Silent(err error) bool {
	return unreachable(err) || redis.HasErrorPrefix(err, "CLUSTERDOWN") || redis.HasErrorPrefix(err, "LOADING")
}

// withEpoch calls run, which runs scripts and, if it is told to ask, queues a GET of the epoch into the same round trip. On a
// Cluster it returns an error unless Redis holds the epoch of this process, as far as that is known: see Recent.
func (d *DB) withEpoch(ctx context.Context, epoch string, run func(ctx context.Context, ask bool) (*redis.StringCmd, error)) error {
	if d.singleNode {
		_, err := run(ctx, false)
		return err
	}
	recent := d.Recent()
	if recent && !d.outage.due() {
		_, err := run(ctx, false)
		return err
	}
	first, cancel := ctx, context.CancelFunc(func() {})
	if recent { // a pipeline waits for all its nodes: leave time for another one
		first, cancel = context.WithTimeout(ctx, d.timeout/2)
	}
	asked := time.Now()
	found, err := run(first, true)
	cancel()
	if Silent(found.Err()) && recent {
		if Silent(err) { // go-redis gives the error of one node to the commands of all
			if _, err = run(ctx, false); Silent(err) {
				return err
			}
		}
		d.outage.silent()
		d.reload(ctx)
		return err
	}
	switch {
	case err != nil:
		return err
	case found.Err() != nil && !errors.Is(found.Err(), redis.Nil):
		return found.Err()
	case found.Val() != epoch:
		return d.lost()
	}
	d.outage.answered(asked)
	return nil
}

// askEpoch is withEpoch for scripts that cannot share a round trip with a GET of the epoch.
func (d *DB) askEpoch(ctx context.Context, epoch string) error {
	return d.withEpoch(ctx, epoch, func(ctx context.Context, ask bool) (*redis.StringCmd, error) {
		if !ask {
			return nil, nil //nolint:nilnil // not asked for
		}
		return d.Client.Get(ctx, d.Keys.Epoch()), nil
	})
}

// CheckFound is CheckEpoch for something that Redis holds: see Recent.
func (d *DB) CheckFound(ctx context.Context, op string) error {
	if !d.Recent() {
		return d.CheckEpoch(ctx, op)
	}
	return d.Do(ctx, op+": epoch", func(ctx context.Context) error { return d.askEpoch(ctx, *d.epoch.Load()) })
}

// reload makes go-redis ask which nodes serve which slots. It keeps asking a dead primary until its map of slots is a minute old,
// unless it is told.
func (d *DB) reload(ctx context.Context) {
	if cluster, ok := d.Client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}
