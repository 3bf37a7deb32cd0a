package redisdb

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// The epoch is a random value that a store gets when it is new. A process remembers the one that it saw first and works with no
// other: reads check it before they say that something is missing (Missing), and every write carries it (Script).
var (
	// ErrLost is the cause when Redis answers, but no longer holds the store that this process saw in it.
	ErrLost = errors.New("redis no longer holds the store that this process knows: it was emptied or replaced")
	// ErrUninitialised is the cause when Redis holds no store, and Config.MustExist forbids to take that for a new one.
	ErrUninitialised = errors.New("redis holds no store: it is new, or it has lost its data")
	// ErrInitialised is returned by Init for a store that is there already.
	ErrInitialised = errors.New("storage: redis holds a store already")
)

// Missing is the answer for a key that is not there: fosite.ErrNotFound while Redis still holds the epoch that this process
// saw first, otherwise unavailable. Without this check an emptied Redis would log out every user.
func (d *DB) Missing(ctx context.Context, op string) error {
	if err := d.CheckEpoch(ctx, op); err != nil {
		return err
	}
	return fosite.ErrNotFound
}

// CheckEpoch returns an error that is marked as unavailable when Redis has lost its data since this process first saw it.
// The first call on an empty Redis writes the epoch, unless Config.MustExist is set.
func (d *DB) CheckEpoch(ctx context.Context, op string) error {
	seen := d.epoch.Load() // before Redis is asked: another call may write the epoch meanwhile
	asked := time.Now()
	read := d.readEpoch
	if seen == nil {
		read = d.takeEpoch
	}
	found, err := read(ctx, op)
	switch {
	case err != nil:
		return err
	case seen == nil && found == "" && d.mustExist:
		return unavailable.Error(op, ErrUninitialised)
	case seen == nil && found == "":
		if found, err = d.writeEpoch(ctx, op, RandomID()); err != nil {
			return err
		}
	}
	if seen == nil {
		d.epoch.CompareAndSwap(nil, &found)
		seen = d.epoch.Load()
	}
	if *seen != found {
		return unavailable.Error(op, d.lost())
	}
	d.outage.answered(asked)
	return nil
}

// Initialised tells whether Redis holds a store, whichever one.
func (d *DB) Initialised(ctx context.Context, op string) (bool, error) {
	found, old, err := d.readEpochs(ctx, op)
	return found+old != "", err
}

// Init gives an epoch to a Redis that has none, or returns ErrInitialised. A process that knew another store remains
// unavailable.
func (d *DB) Init(ctx context.Context, op string) error {
	own := RandomID()
	found, err := d.takeEpoch(ctx, op)
	if err == nil && found == "" {
		found, err = d.writeEpoch(ctx, op, own)
	}
	if err != nil {
		return err
	}
	if found != own {
		return ErrInitialised
	}
	d.epoch.CompareAndSwap(nil, &found)
	return nil
}

// readEpoch returns the epoch in Redis, empty where there is none.
func (d *DB) readEpoch(ctx context.Context, op string) (found string, err error) {
	err = d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		found, err = d.Client.Get(ctx, d.Keys.Epoch()).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	return found, err
}

// takeEpoch is readEpoch for the first contact of a process, which takes a store of the version before over. From then on the
// servers of that version are unavailable. They would take each session that was opened or moved since for one that has ended. What
// is left in place of their epoch is of another type, so that one that starts later does not write a new one.
func (d *DB) takeEpoch(ctx context.Context, op string) (string, error) {
	found, old, err := d.readEpochs(ctx, op)
	if err != nil || old == "" {
		return found, err
	}
	if found, err = d.writeEpoch(ctx, op, old); err != nil {
		return "", err
	}
	err = d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		_, err := d.Client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Del(ctx, d.Keys.OldEpoch())
			p.HSet(ctx, d.Keys.OldEpoch(), "version", 2)
			return nil
		})
		return err
	})
	return found, err
}

// readEpochs returns the epoch, and that of the version before, empty where there is none.
func (d *DB) readEpochs(ctx context.Context, op string) (found, old string, err error) {
	err = d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		var one, two *redis.StringCmd
		_, err := d.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			one, two = p.Get(ctx, d.Keys.Epoch()), p.Get(ctx, d.Keys.OldEpoch())
			return nil
		})
		found, old = one.Val(), two.Val()
		if redis.HasErrorPrefix(two.Err(), "WRONGTYPE") { // taken over
			return FirstError(one.Err())
		}
		return FirstError(err, one, two)
	})
	return found, old, err
}

// writeEpoch gives an epoch to a Redis that has none, and returns the one that it has then. Two servers that start at once
// agree on one.
func (d *DB) writeEpoch(ctx context.Context, op, epoch string) (found string, err error) {
	err = d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		if err := d.Client.SetNX(ctx, d.Keys.Epoch(), epoch, 0).Err(); err != nil {
			return err
		}
		found, err = d.Client.Get(ctx, d.Keys.Epoch()).Result()
		return err
	})
	return found, err
}

// Epoch returns the epoch of this process. It asks Redis the first time only.
func (d *DB) Epoch(ctx context.Context, op string) (string, error) {
	if d.epoch.Load() == nil {
		if err := d.CheckEpoch(ctx, op); err != nil {
			return "", err
		}
	}
	return *d.epoch.Load(), nil
}

// lost returns ErrLost, and reports the first time.
func (d *DB) lost() error {
	d.outage.forget()
	d.reported.Do(func() {
		if d.onLost != nil {
			d.onLost()
		}
	})
	return ErrLost
}
