package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Ready returns nil when the store can serve: a script that writes runs on Redis, and Redis has not lost its data since this
// process first saw it. It is meant for a readiness probe.
func (s *Store) Ready(ctx context.Context) error {
	const op = "ready"
	_, err := s.db.Eval(ctx, op, redisdb.Call{Script: probeScript, Keys: []string{s.db.Keys.Probe()}, Args: []any{time.Minute.Milliseconds()}})
	return err
}

// BreakerOpen tells whether operations fail at once, because Redis did not answer. It is for metrics; the store itself finds out
// when Redis is back.
func (s *Store) BreakerOpen() bool { return s.db.Open() }

// probeScript writes a key.
//
//	KEYS  1 the key
//	ARGV  1 its TTL in ms
//	reply 1
//	twice writes the same
var probeScript = redisdb.NewScript(`redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) return 1`)

// CheckServer looks at how Redis is configured and how many replicas it has, and returns a sentence for each setting that endangers
// sessions. The error says that Redis did not answer. Settings that Redis does not show are not checked; managed services hide some.
func (s *Store) CheckServer(ctx context.Context) (warnings []string, err error) {
	found, err := s.serverInfo(ctx, "check server")
	if err != nil {
		return nil, err
	}
	if version := found["redis_version"]; version != "" && older(version, 6, 2) {
		warnings = append(warnings, fmt.Sprintf("Redis %s is too old: 6.2 is the oldest that this store runs on", version))
	}
	if policy := found["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		warnings = append(warnings, fmt.Sprintf("maxmemory-policy is %s: when memory runs out, Redis will log users out. Set noeviction", policy))
	}
	if found["aof_enabled"] == "0" {
		warnings = append(warnings, s.withoutAOF(ctx))
	}
	return append(warnings, s.checkReplicas(ctx)...), nil
}

// serverInfo returns what Redis says about itself, which is nothing where a managed service hides it.
func (s *Store) serverInfo(ctx context.Context, op string) (map[string]string, error) {
	info := make([]string, 4)
	err := s.db.Do(ctx, op, func(ctx context.Context) error {
		for i, section := range []string{"server", "memory", "persistence", "replication"} {
			var err error
			if info[i], err = s.db.Client.Info(ctx, section).Result(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		if pingErr := s.db.Do(ctx, op, func(ctx context.Context) error { return s.db.Client.Ping(ctx).Err() }); pingErr != nil {
			return nil, pingErr
		}
		return nil, nil //nolint:nilerr // a Redis that answers but has no INFO cannot be checked
	}
	return parseInfo(strings.Join(info, "\n")), nil
}

// withoutAOF distinguishes snapshots, which lose minutes, from no persistence at all.
func (s *Store) withoutAOF(ctx context.Context) string {
	var save string
	_ = s.db.Do(ctx, "check server", func(ctx context.Context) error {
		found, err := s.db.Client.ConfigGet(ctx, "save").Result()
		save = found["save"]
		return err
	})
	if save == "" {
		return "Redis keeps nothing on disk: a restart logs everybody out. Set appendonly yes"
	}
	return "Redis has snapshots but no append-only file: a crash loses the minutes since the last one. Set appendonly yes"
}

func parseInfo(info string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			found[name] = value
		}
	}
	return found
}

func older(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	have, err := strconv.Atoi(parts[0])
	haveMinor, errMinor := strconv.Atoi(parts[1])
	if err != nil || errMinor != nil {
		return false
	}
	return have < major || have == major && haveMinor < minor
}
