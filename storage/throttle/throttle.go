// Package throttle limits failed logins, per user and per address, for all servers of one Redis together.
//
// A Throttle comes from Users.NewThrottle of package storage, and is used for one login like this:
//
//	wait, err := t.Reserve(ctx, user, address) // counts a failure; wait > 0: refuse the login
//	// ... verify the password ...
//	t.Succeeded(ctx, user, address)            // it was right
//	t.Cancel(ctx, user, address)               // it could not be verified: Redis or the hashing was not available
//
// After a wrong password nothing is called: the failure stays counted.
package throttle

import (
	"context"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Limits bound the failed logins. The zero value allows 10 in five minutes for a user and 100 for an address.
type Limits struct {
	PerUser, PerAddress Limit
}

// Limit is a number of failures within a period. That many may come at once; after them one more is allowed every
// Period/Failures, so that nobody is locked out for longer than that by what others have tried.
type Limit struct {
	Failures int           // zero: the default; negative: no limit
	Period   time.Duration // zero: five minutes
}

func (l Limit) withDefault(failures int) Limit {
	if l.Failures == 0 {
		l.Failures = failures
	}
	if l.Period <= 0 {
		l.Period = 5 * time.Minute
	}
	return l
}

// interval is how long it takes until one failure is forgotten, in milliseconds.
func (l Limit) interval() int64 { return max(l.Period.Milliseconds()/int64(l.Failures), 1) }

// Throttle counts failed logins in Redis. It is safe for concurrent use.
//
// Each attempt is counted as a failure before its password is hashed, and the count is taken back afterwards when it did not
// fail: however many guesses come at once, no more of them than the limit are hashed. Users that do not exist are counted
// like others. IPv6 addresses are counted by /64, since that is what one customer gets.
//
// Errors are those of package storage: errors.Is(err, fosite.ErrTemporarilyUnavailable).
type Throttle struct {
	db     *redisdb.DB
	limits Limits
	beside Beside
}

// Beside is work that shares Reserve's round trip. It returns nil when there is none, otherwise two functions: queue adds
// commands to the pipeline and may be called twice, done is called when the round trip succeeded, to check their replies.
type Beside func(ctx context.Context, user string) (queue func(redis.Pipeliner), done func() error)

// New is for package storage, which has the db. beside may be nil.
func New(db *redisdb.DB, limits Limits, beside Beside) *Throttle {
	return &Throttle{db: db, beside: beside, limits: Limits{
		PerUser:    limits.PerUser.withDefault(10),
		PerAddress: limits.PerAddress.withDefault(100),
	}}
}

// Reserve counts an attempt as a failure, before it is known whether it fails. When retryAfter is not zero the attempt is
// refused, is not counted, and may be made again after that time. An empty address is not counted.
//
// It takes one round trip, in which it also reads the account when the context holds a unit of work (Tokens.BeginTX of
// package storage): the login that follows in that unit of work need not read it. A refusal by one of the two limits takes
// another round trip.
func (t *Throttle) Reserve(ctx context.Context, user, address string) (retryAfter time.Duration, err error) {
	const op = "count login"
	var (
		queue func(redis.Pipeliner)
		done  func() error
	)
	if t.beside != nil {
		queue, done = t.beside(ctx, user)
	}
	counters := t.counters(user, address)
	if len(counters) == 0 && queue == nil {
		return 0, nil
	}
	calls := make([]redisdb.Call, len(counters))
	for i, c := range counters {
		calls[i] = c.add(1)
	}
	replies, err := t.db.EvalAll(ctx, op, calls, queue)
	if err != nil {
		return 0, err
	}
	if done != nil {
		if err := done(); err != nil {
			return 0, err
		}
	}
	var counted []redisdb.Call
	for i, reply := range replies {
		if wait, _ := reply.(int64); wait > 0 {
			retryAfter = max(retryAfter, time.Duration(wait)*time.Millisecond)
		} else {
			counted = append(counted, counters[i].add(-1))
		}
	}
	if retryAfter > 0 && len(counted) > 0 {
		// One limit refused the attempt: it must not count towards the other.
		_, err = t.db.EvalAll(ctx, op, counted, nil)
	}
	return retryAfter, err
}

// Succeeded takes back an attempt that was right, and forgets all failures of the user, but not those of the address: an
// address that guesses at many users must not be cleared by logging in as one.
func (t *Throttle) Succeeded(ctx context.Context, user, address string) error {
	return t.takeBack(ctx, user, address, true)
}

// Cancel takes back an attempt of which it is not known whether it was right, because the store or the hashing was not
// available.
func (t *Throttle) Cancel(ctx context.Context, user, address string) error {
	return t.takeBack(ctx, user, address, false)
}

func (t *Throttle) takeBack(ctx context.Context, user, address string, succeeded bool) error {
	var calls []redisdb.Call
	for _, c := range t.counters(user, address) {
		if succeeded && c.ofUser {
			calls = append(calls, redisdb.Command("DEL", c.key))
		} else {
			calls = append(calls, c.add(-1))
		}
	}
	if len(calls) == 0 {
		return nil
	}
	_, err := t.db.EvalAll(ctx, "take back login", calls, nil)
	return err
}

// network is the part of an address that is counted.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is in range
		return p.String()
	}
	return a.String()
}
