package storage

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// checkReplicas compares how many replicas must confirm a write (Options.Replicas) with those that each primary has. A primary that
// does not say is not checked.
func (s *Store) checkReplicas(ctx context.Context) (warnings []string) {
	need := s.db.Replicas()
	if need == 0 {
		return nil
	}
	var mutex sync.Mutex
	check := func(ctx context.Context, primary *redis.Client) error {
		info, err := primary.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		have, err := strconv.Atoi(parseInfo(info)["connected_slaves"])
		if err != nil {
			return nil //nolint:nilerr // a managed service hides it
		}
		mutex.Lock()
		defer mutex.Unlock()
		if have < need {
			warnings = append(warnings, fmt.Sprintf("replicas that must confirm a write: %d; replicas of Redis at %s: %d. Until it has more, "+
				"logins, refreshes and revocations are unavailable", need, primary.Options().Addr, have))
		}
		_, sole := s.db.Client.(*redis.Client)
		if sole && have > need+1 { // CLUSTER FAILOVER waits for the replica that takes over
			warnings = append(warnings, fmt.Sprintf("replicas that must confirm a write: %d; replicas of Redis: %d. A fail-over can lose "+
				"confirmed writes: let %d or %d confirm them", need, have, have-1, have))
		}
		return nil
	}
	_ = s.db.Do(ctx, "check replicas", func(ctx context.Context) error {
		switch c := s.db.Client.(type) {
		case *redis.Client:
			return check(ctx, c)
		case *redis.ClusterClient:
			return c.ForEachMaster(ctx, check)
		}
		return nil
	})
	slices.Sort(warnings)
	return warnings
}
