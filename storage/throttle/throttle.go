// Package throttle limits failed logins and wrong client secrets, for all servers of one Redis together.
//
// Package storage uses it for each login: Users.VerifyPassword and Users.Login reserve an attempt before they hash, and settle it
// afterwards. Only results count: an attempt that succeeded, or that could not be made, is taken back. While it is in flight it
// takes up room, so that no more guesses than the limit are hashed however many come at once, and those for which there is no room
// wait for the results of the others.
package throttle

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Throttle counts failures in Redis. It is safe for concurrent use.
//
// Users and clients that do not exist are counted like others. Errors are those of package storage: errors.Is(err,
// fosite.ErrTemporarilyUnavailable).
type Throttle struct {
	db      *redisdb.DB
	limits  Limits
	queue   queue
	later   later
	secrets wrongSecrets
}

// New is for package storage, which has the db.
func New(db *redisdb.DB, limits Limits) *Throttle {
	t := &Throttle{db: db, limits: limits.withDefaults()}
	t.queue.init()
	t.later.send = t.send
	t.secrets.init()
	return t
}

// Network returns the network of an address, as it is counted. See Limits.
func (t *Throttle) Network(address string) string { return t.limits.Network(address) }

// Counts tells whether logins are counted at all.
func (t *Throttle) Counts() bool {
	return t.limits.PerUserNetwork > 0 || t.limits.PerUser > 0 || t.limits.PerNetwork > 0
}

// Result is how an attempt ended.
type Result string

// The results of an attempt.
const (
	Failed    Result = "failed"    // the password was wrong, or the user may not log in
	Succeeded Result = "succeeded" // the password was right
	Cancelled Result = "cancelled" // the password was not compared: Redis, the hashing or another server was not available
)

// Attempt is a login that was reserved.
type Attempt struct {
	id      string
	user    counter
	network counter // without a tag: not counted
	known   bool
}

// Reserve counts an attempt before its password is compared, and must be followed by Settle. An address that is empty is not
// counted, and the user's limit for networks that are not known holds.
//
// The error is policy.TooManyAttempts when one of the limits is full of failures. While it is full only with attempts in flight,
// Reserve waits for their results: up to ten seconds, then it is unavailable, as it is when too many wait already.
//
// It takes one round trip, and another one for each time that it has waited and when only one of two limits has room. reads, unless
// it is nil, queues commands into the same round trip. It may be called several times; their replies are those of the last.
func (t *Throttle) Reserve(ctx context.Context, user, address string, reads func(redis.Pipeliner)) (Attempt, error) {
	network := t.Network(address)
	a := Attempt{user: t.userCounter(user, network)}
	if t.limits.PerNetwork > 0 && network != "" {
		a.network = t.networkCounter(network)
	}
	if !t.Counts() {
		_, err := t.db.EvalAll(ctx, opReserve, nil, reads)
		return a, err
	}
	w := t.queue.behind(lineOf(a.user, "n:"+network))
	defer func() { t.queue.leave(w) }()
	for {
		if err := t.queue.turn(ctx, w); err != nil {
			return Attempt{}, err
		}
		found, err := t.try(ctx, &a, reads)
		switch {
		case err != nil:
			return Attempt{}, err
		case found.status == counted:
			return a, nil
		case found.status == full:
			// All who wait for room in this bucket are told at once: its failures have used it up.
			refused := policy.TooManyAttempts{RetryAfter: found.wait}
			t.queue.tell(found.line, refused)
			return Attempt{}, refused
		}
		if w, err = t.queue.move(w, found.line); err != nil {
			return Attempt{}, err
		}
	}
}

const (
	opReserve = "count login"
	opSettle  = "count result of login"
)

// lineOf names the queue for room in a bucket.
func lineOf(c counter, field string) string { return c.tag + " " + field }

// found is what an attempt has met: counted, or the bucket without room, as the line to wait in.
type found struct {
	status int64
	line   string
	wait   time.Duration
}

// try reserves the attempt in both counters, or in none.
func (t *Throttle) try(ctx context.Context, a *Attempt, reads func(redis.Pipeliner)) (found, error) {
	a.id = newID()
	calls := []redisdb.Call{t.reserveCall(a.user, a.id, flightTime)}
	if a.network.tag != "" {
		calls = append(calls, t.reserveCall(a.network, a.id, flightTime))
	}
	replies, err := t.db.EvalAll(ctx, opReserve, calls, reads)
	if err != nil {
		t.later.add(t.settleCalls(*a, Cancelled)...) // it may have been counted
		return found{}, err
	}
	user, err := readReservation(replies[0])
	var network reservation
	if err == nil && len(replies) > 1 {
		network, err = readReservation(replies[1])
	}
	if err != nil {
		t.later.add(t.settleCalls(*a, Cancelled)...)
		return found{}, err
	}
	a.known = user.known
	inNetwork := found{network.status, lineOf(a.network, network.field), network.wait}
	inUser := found{user.status, lineOf(a.user, user.field), user.wait}
	if a.known {
		// Users who are known in this network are not counted to it: Settle takes that back, in the round trip of the result.
		inNetwork.status = counted
	}
	var undo []redisdb.Call
	switch {
	case user.status == counted && inNetwork.status == counted:
		return found{}, nil
	case user.status == counted: // the user must not pay for the network
		undo = append(undo, t.settleCall(a.user, a.id, Cancelled))
	case len(replies) > 1 && network.status == counted:
		undo = append(undo, t.settleCall(a.network, a.id, Cancelled))
	}
	if len(undo) > 0 {
		if err := t.settle(ctx, undo...); err != nil {
			return found{}, err
		}
	}
	if inUser.status == counted || inUser.status == busy && inNetwork.status == full {
		return inNetwork, nil
	}
	return inUser, nil
}

// Settle says how an attempt has ended, in one round trip, and lets those go on who wait for that. If it returns an error, the
// attempt remains counted as a failure until that is forgotten, or until the result arrives that is sent again in the background. A refusal should be told to the caller only after Settle has
// succeeded: a guess whose result is told but not counted is free.
func (t *Throttle) Settle(ctx context.Context, a Attempt, result Result) error {
	if !t.Counts() || a.id == "" {
		return nil
	}
	err := t.settle(ctx, t.settleCalls(a, result)...)
	t.queue.wake(lineOf(a.user, "n:"+a.user.network), lineOf(a.user, "all"), lineOf(a.network, "all"))
	return err
}

func (t *Throttle) settleCalls(a Attempt, result Result) []redisdb.Call {
	calls := []redisdb.Call{t.settleCall(a.user, a.id, result)}
	if a.network.tag == "" {
		return calls
	}
	if a.known || result == Succeeded {
		result = Cancelled
	}
	return append(calls, t.settleCall(a.network, a.id, result))
}

// settle sends results. What may not have arrived is sent again in the background.
func (t *Throttle) settle(ctx context.Context, calls ...redisdb.Call) error {
	err := t.send(ctx, calls)
	if err != nil {
		t.later.add(calls...)
	}
	return err
}

func (t *Throttle) send(ctx context.Context, calls []redisdb.Call) error {
	replies, err := t.db.EvalAll(ctx, opSettle, calls, nil)
	if err == nil && slices.ContainsFunc(replies, func(reply any) bool { return reply != int64(1) }) {
		err = unavailable.Error(opSettle, errReply)
	}
	return err
}

// newID names an attempt among those in flight: 66 random bits.
func newID() string { return redisdb.RandomID()[:11] }
