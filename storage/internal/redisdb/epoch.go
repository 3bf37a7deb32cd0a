package redisdb

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// errEmptied is the cause when Redis answers, but no longer holds the data that this process saw in it.
var errEmptied = errors.New("redis lost its data: the epoch key that this process saw is gone or has changed")

// Missing is the answer for a key that is not there: fosite.ErrNotFound while Redis still holds the epoch that this process
// saw first, otherwise unavailable. Without this check an emptied Redis would log out every user.
func (d *DB) Missing(ctx context.Context, op string) error {
	if err := d.CheckEpoch(ctx, op); err != nil {
		return err
	}
	return fosite.ErrNotFound
}

// CheckEpoch returns an error that is marked as unavailable when Redis has lost its data since this process first saw it.
// The first call on an empty Redis writes the epoch.
func (d *DB) CheckEpoch(ctx context.Context, op string) error {
	seen := d.epoch.Load() // before Redis is asked: another call may write the epoch meanwhile
	var found string
	err := d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		var err error
		found, err = d.Client.Get(ctx, d.Keys.Epoch()).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case seen == nil && found == "":
		return d.writeEpoch(ctx, op)
	case seen == nil:
		d.epoch.CompareAndSwap(nil, &found)
	case *seen != found:
		return unavailable.Error(op, errEmptied)
	}
	return nil
}

// writeEpoch gives an epoch to a Redis that has none, and remembers it. Two servers that start at once agree on one.
func (d *DB) writeEpoch(ctx context.Context, op string) error {
	var found string
	err := d.Do(ctx, op+": epoch", func(ctx context.Context) error {
		if err := d.Client.SetNX(ctx, d.Keys.Epoch(), RandomID(), 0).Err(); err != nil {
			return err
		}
		var err error
		found, err = d.Client.Get(ctx, d.Keys.Epoch()).Result()
		return err
	})
	if err != nil {
		return err
	}
	d.epoch.CompareAndSwap(nil, &found)
	if *d.epoch.Load() != found {
		return unavailable.Error(op, errEmptied)
	}
	return nil
}
