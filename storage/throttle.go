package storage

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// ThrottleLimits bound the failed logins. The zero value is 10 in five minutes for a user, 100 for an address.
type ThrottleLimits struct {
	PerUser, PerAddress ThrottleLimit
}

// ThrottleLimit is a number of failures within a period. As many may come at once; after them, one more is let through
// every Period/Failures, so nobody is locked out for longer than that by what others have tried.
type ThrottleLimit struct {
	Failures int // zero: the default; negative: no limit
	Period   time.Duration
}

func (l ThrottleLimit) withDefault(failures int) ThrottleLimit {
	if l.Failures == 0 {
		l.Failures = failures
	}
	if l.Period <= 0 {
		l.Period = 5 * time.Minute
	}
	return l
}

// Throttle counts failed logins in Redis, for all servers and all ways to log in together. It is safe for concurrent use.
//
// Each attempt is counted as a failure before its password is hashed, and forgiven afterwards when it was none: however
// many guesses come at once, no more of them than the limit get a hash. Users that do not exist are counted like others.
// IPv6 addresses are counted by /64, since that is what one customer gets.
type Throttle struct {
	users  *Users
	limits ThrottleLimits
}

// NewThrottle returns a throttle for logins of these users.
func (u *Users) NewThrottle(limits ThrottleLimits) *Throttle {
	return &Throttle{users: u, limits: ThrottleLimits{
		PerUser:    limits.PerUser.withDefault(10),
		PerAddress: limits.PerAddress.withDefault(100),
	}}
}

// Reserve counts an attempt, before it is known whether it fails. When retryAfter is not zero the attempt is refused, is not
// counted, and makes sense again after that time. Each attempt let through is to be followed by Succeeded, Cancel, or,
// when it failed, by nothing. An empty address is not counted.
//
// It takes one round trip, in which it also reads the account for the unit of work in the context: the login that follows
// in the same one need not.
func (t *Throttle) Reserve(ctx context.Context, user, address string) (retryAfter time.Duration, err error) {
	counters := t.counters(user, address)
	var read *accountRead
	if b := batchFrom(ctx); b != nil && b.known(user) == nil {
		read = t.users.readAccount(user)
	}
	results, err := t.count(ctx, counters, read)
	if err != nil {
		return 0, err
	}
	if read != nil {
		batchFrom(ctx).remember(read.account())
	}
	var counted []counter
	for i, r := range results {
		if r.Allowed > 0 {
			counted = append(counted, counters[i])
			continue
		}
		retryAfter = max(retryAfter, r.RetryAfter, time.Millisecond)
	}
	if retryAfter > 0 && len(counted) > 0 {
		// Refused by one of the two: the other one is not to pay for it.
		err = t.forgive(ctx, counted, false)
	}
	return retryAfter, err
}

// Succeeded forgives an attempt that was allowed and was right: all failures of the user, and this one of the address. An
// address that guesses at many users does not clear itself by logging in as one.
func (t *Throttle) Succeeded(ctx context.Context, user, address string) error {
	return t.forgive(ctx, t.counters(user, address), true)
}

// Cancel takes an attempt back that came to no verdict, because the store or the hashing was not available.
func (t *Throttle) Cancel(ctx context.Context, user, address string) error {
	return t.forgive(ctx, t.counters(user, address), false)
}

// forgiveScript takes one failure off a counter. redis_rate, which can only be asked to count less than one, leaves the last
// one standing; what it stores is when the counter will be empty, in seconds since 2017.
const forgiveScript = `
local empty = tonumber(redis.call('GET', KEYS[1]) or '')
if not empty then return 0 end
local clock = redis.call('TIME')
local left = empty - ARGV[1] - (clock[1] - 1483228800 + clock[2] / 1000000)
if left > 0 then
  redis.call('SET', KEYS[1], empty - ARGV[1], 'EX', math.ceil(left))
else
  redis.call('DEL', KEYS[1])
end
return 1`

// forgive takes one failure off each counter, or all of the user's, in one round trip.
func (t *Throttle) forgive(ctx context.Context, counters []counter, success bool) error {
	if len(counters) == 0 {
		return nil
	}
	return t.users.db.write(ctx, "forgive login", func(ctx context.Context) error {
		_, err := t.users.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, c := range counters {
				if success && c.ofUser {
					p.Del(ctx, c.key)
					continue
				}
				p.Eval(ctx, forgiveScript, []string{c.key}, c.limit.Period.Seconds()/float64(c.limit.Rate))
			}
			return nil
		})
		return err
	})
}

// counter is one number of failures.
type counter struct {
	key    string
	limit  redis_rate.Limit
	ofUser bool
}

func (t *Throttle) counters(user, address string) []counter {
	var list []counter
	add := func(what string, l ThrottleLimit, ofUser bool) {
		if l.Failures > 0 {
			limit := redis_rate.Limit{Rate: l.Failures, Burst: l.Failures, Period: l.Period}
			list = append(list, counter{key: t.users.db.keys.throttle(what), limit: limit, ofUser: ofUser})
		}
	}
	add("user\x00"+user, t.limits.PerUser, true)
	if address != "" {
		add("address\x00"+network(address), t.limits.PerAddress, false)
	}
	return list
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

// count adds one to each counter, all in one round trip, and reads an account in it if asked to.
func (t *Throttle) count(ctx context.Context, counters []counter, read *accountRead) ([]*redis_rate.Result, error) {
	if len(counters) == 0 && read == nil {
		return nil, nil
	}
	results := make([]*redis_rate.Result, len(counters))
	err := t.users.db.write(ctx, "count login", func(ctx context.Context) error {
		trip := &oneTrip{UniversalClient: t.users.db.rdb, pipe: t.users.db.rdb.Pipeline(), missing: len(counters), sent: make(chan struct{})}
		limiter := redis_rate.NewLimiter(trip)
		if read != nil {
			read.queue(ctx, trip.pipe)
		}
		if len(counters) == 0 {
			trip.send(ctx)
		}
		errs := make([]error, len(counters))
		var all sync.WaitGroup
		for i, c := range counters {
			all.Go(func() {
				results[i], errs[i] = limiter.Allow(ctx, c.key, c.limit)
			})
		}
		all.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		if read != nil {
			return read.err(nil)
		}
		return nil
	})
	return results, err
}

// oneTrip lets the commands that redis_rate sends for several counters travel together: each waits until all are there. It
// also takes off the prefix that redis_rate puts before keys, so that ours are all named in keys.go.
type oneTrip struct {
	redis.UniversalClient
	mutex   sync.Mutex
	pipe    redis.Pipeliner
	missing int
	sent    chan struct{}
}

// EvalSha joins the others, and the last one sends them all.
func (o *oneTrip) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	o.mutex.Lock()
	cmd := o.pipe.EvalSha(ctx, sha1, ownKeys(keys), args...)
	o.missing--
	last := o.missing == 0
	o.mutex.Unlock()
	if last {
		o.send(ctx)
	}
	<-o.sent
	return cmd
}

// Eval goes alone: it follows an EvalSha that Redis did not know.
func (o *oneTrip) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return o.UniversalClient.Eval(ctx, script, ownKeys(keys), args...)
}

func (o *oneTrip) send(ctx context.Context) {
	_, _ = o.pipe.Exec(ctx) // each command carries its own error
	close(o.sent)
}

func ownKeys(keys []string) []string {
	own := make([]string, len(keys))
	for i, k := range keys {
		own[i] = strings.TrimPrefix(k, "rate:")
	}
	return own
}
