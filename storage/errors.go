package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// unavailable is a don't-know: Redis did not answer, or answered that it cannot serve now. It is never a verdict about a
// token, a client or a user. errors.Is(err, fosite.ErrTemporarilyUnavailable) holds for it, through any wrapping by fosite.
type unavailable struct {
	op  string
	err error
}

func (e *unavailable) Error() string { return "storage: " + e.op + ": " + e.err.Error() }
func (e *unavailable) Unwrap() error { return e.err }

func (e *unavailable) Is(target error) bool {
	return fosite.ErrTemporarilyUnavailable.Is(target)
}

// errEmptied is the cause when Redis answers but has lost what this process knew it held.
var errEmptied = errors.New("redis lost its data: the epoch key this process saw is gone or another one")

// errRecord is a stored record that this version cannot read. It is a don't-know too: a newer server may have written it.
var errRecord = errors.New("unreadable record")

// dontKnow turns every error of Redis but redis.Nil into a don't-know. Callers handle redis.Nil before.
func dontKnow(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *unavailable
	if errors.As(err, &known) {
		return err
	}
	return &unavailable{op: op, err: err}
}

// missing is the answer for a key that is not there: fosite.ErrNotFound, but only while Redis still holds the epoch that
// this process saw first. An emptied Redis would otherwise log every user out with a verdict.
func (d *db) missing(ctx context.Context, op string) error {
	if err := d.checkEpoch(ctx); err != nil {
		return dontKnow(op, err)
	}
	return fosite.ErrNotFound
}

func (d *db) checkEpoch(ctx context.Context) error {
	seen := d.epoch.Load() // before Redis is asked: another call may open the epoch meanwhile
	var found string
	err := d.do(ctx, "epoch", func(ctx context.Context) error {
		var err error
		found, err = d.rdb.Get(ctx, d.keys.epoch()).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case seen == nil && found == "":
		return d.openEpoch(ctx)
	case seen == nil:
		d.epoch.CompareAndSwap(nil, &found)
		return nil
	case *seen != found:
		return errEmptied
	}
	return nil
}

// openEpoch marks a Redis that has no epoch yet, and remembers the mark. Two servers that start at once agree on one.
func (d *db) openEpoch(ctx context.Context) error {
	var found string
	err := d.do(ctx, "epoch", func(ctx context.Context) error {
		if err := d.rdb.SetNX(ctx, d.keys.epoch(), randomID(), 0).Err(); err != nil {
			return err
		}
		var err error
		found, err = d.rdb.Get(ctx, d.keys.epoch()).Result()
		return err
	})
	if err != nil {
		return err
	}
	d.epoch.CompareAndSwap(nil, &found)
	if *d.epoch.Load() != found {
		return errEmptied
	}
	return nil
}
