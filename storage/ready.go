package storage

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ready tells whether the store can serve: a script that writes runs on Redis, and Redis still holds what this process
// knew. A nil error is the answer for a readiness probe; the first call marks an empty Redis as ours.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.db.checkEpoch(ctx); err != nil {
		return dontKnow("ready", err)
	}
	c := call{script: probeScript, keys: []string{s.db.keys.probe()}, args: []any{time.Minute.Milliseconds()}}
	_, err := s.db.eval(ctx, "ready", c)
	return err
}

var probeScript = redis.NewScript(`redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) return 1`)
