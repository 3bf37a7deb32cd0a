package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// CheckServer looks at how Redis is set up and returns what endangers sessions, in sentences for people. An error is a
// don't-know: Redis did not answer. Settings that Redis does not show (managed services hide CONFIG; a fake has none) are
// taken from INFO or passed over.
func (s *Store) CheckServer(ctx context.Context) (warnings []string, err error) {
	var info string
	err = s.db.do(ctx, "check server", func(ctx context.Context) error {
		var err error
		info, err = s.db.rdb.Info(ctx, "server", "memory", "persistence").Result()
		return err
	})
	if err != nil {
		if pingErr := s.db.do(ctx, "check server", func(ctx context.Context) error { return s.db.rdb.Ping(ctx).Err() }); pingErr != nil {
			return nil, pingErr
		}
		return nil, nil //nolint:nilerr // a Redis that answers and has no INFO has nothing to say about itself
	}
	found := parseInfo(info)
	if version := found["redis_version"]; version != "" && older(version, 6, 2) {
		warnings = append(warnings, fmt.Sprintf("Redis %s is too old: 6.2 is the oldest that this store runs on", version))
	}
	if policy := found["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		warnings = append(warnings, fmt.Sprintf("maxmemory-policy is %s: when memory runs out, Redis will log users out. Set noeviction", policy))
	}
	if found["aof_enabled"] == "0" {
		warnings = append(warnings, s.withoutAOF(ctx))
	}
	return warnings, nil
}

// withoutAOF tells snapshots, which lose minutes, from no persistence at all.
func (s *Store) withoutAOF(ctx context.Context) string {
	var save string
	_ = s.db.do(ctx, "check server", func(ctx context.Context) error {
		found, err := s.db.rdb.ConfigGet(ctx, "save").Result()
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
