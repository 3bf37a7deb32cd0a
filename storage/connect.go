package storage

import (
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
)

// Connect returns a Redis client for a store: standalone, Sentinel (MasterName) or Cluster (several Addrs), as go-redis
// decides. It does not dial yet.
//
// Options that are zero are set so that an outage is noticed within a second and requests do not pile up: timeouts of 500 ms,
// a bounded pool, two retries. Options that would read from replicas are turned off: a revoked token must be refused at once.
func Connect(o redis.UniversalOptions) redis.UniversalClient {
	short := func(d *time.Duration) {
		if *d == 0 {
			*d = 500 * time.Millisecond
		}
	}
	short(&o.DialTimeout)
	short(&o.ReadTimeout)
	short(&o.WriteTimeout)
	short(&o.PoolTimeout)
	if o.PoolSize == 0 {
		o.PoolSize = 32 * runtime.GOMAXPROCS(0) // for 16 admitted requests (see package admission), logins and background work
	}
	if o.MaxActiveConns == 0 {
		o.MaxActiveConns = o.PoolSize
	}
	if o.MaxRetries == 0 {
		o.MaxRetries = 2
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = 1
	}
	if o.MinRetryBackoff == 0 {
		o.MinRetryBackoff = 5 * time.Millisecond
	}
	if o.MaxRetryBackoff == 0 {
		o.MaxRetryBackoff = 50 * time.Millisecond
	}
	o.ContextTimeoutEnabled = true
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	o.DisableIdentity = true
	return redis.NewUniversalClient(&o)
}
