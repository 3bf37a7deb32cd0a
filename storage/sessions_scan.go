package storage

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// EachSession calls f for every session of the store, in no order, until f returns an error, and returns that. A session that is
// opened or ends meanwhile may be left out, and one may come twice, as SCAN allows. It visits every key of Redis, which takes Redis
// about a second for a million.
func (t *Tokens) EachSession(ctx context.Context, f func(SessionInfo) error) error {
	return t.eachRecord(ctx, func(list []SessionInfo) error {
		list, err := t.living(ctx, list)
		if err != nil {
			return err
		}
		for _, info := range list {
			if err := f(info); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRecord calls f for the sessions that are stored, some at a time, also for those that have ended.
func (t *Tokens) eachRecord(ctx context.Context, f func([]SessionInfo) error) error {
	cluster, ok := t.db.Client.(*redis.ClusterClient)
	if !ok {
		return t.eachRecordOn(ctx, t.db.Client, f)
	}
	nodes, err := t.primaries(ctx, cluster)
	for _, node := range nodes {
		if err == nil {
			err = t.eachRecordOn(ctx, node, f)
		}
	}
	return err
}

func (t *Tokens) primaries(ctx context.Context, cluster *redis.ClusterClient) (nodes []*redis.Client, err error) {
	err = t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		nodes = nil
		var mutex sync.Mutex
		return cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mutex.Lock()
			defer mutex.Unlock()
			nodes = append(nodes, node)
			return nil
		})
	})
	return nodes, err
}

func (t *Tokens) eachRecordOn(ctx context.Context, node redis.Cmdable, f func([]SessionInfo) error) error {
	var cursor uint64
	found := false
	for {
		var keys []string
		err := t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
			var err error
			keys, cursor, err = node.Scan(ctx, cursor, t.db.Keys.SessionPattern(), 1000).Result()
			return err
		})
		if err != nil {
			return err
		}
		list, err := t.readSessions(ctx, t.storedAt(keys))
		if err != nil {
			return err
		}
		if found = found || len(list) > 0; len(list) > 0 {
			if err := f(list); err != nil {
				return err
			}
		}
		if cursor == 0 {
			break
		}
	}
	if !found {
		return t.db.CheckEpoch(ctx, opListSessions)
	}
	return nil
}

// storedAt returns the sessions that are at some keys of Redis.
func (t *Tokens) storedAt(keys []string) []storedSession {
	var list []storedSession
	for _, key := range keys {
		if raw, slot, ok := t.db.Keys.ParseSession(key); ok {
			list = append(list, storedSession{key: key, evicted: t.db.Keys.EvictedAt(slot), name: redisdb.TextName(raw)})
		} else if tag, name, ok := strings.Cut(strings.TrimPrefix(key, t.db.Keys.Prefix+"s:{"), "}:"); ok && len(tag) == redisdb.TagLength {
			list = append(list, storedSession{oldKey: key, oldEvicted: t.db.Keys.OldEvicted(tag), name: name, tag: tag})
		}
	}
	return list
}
