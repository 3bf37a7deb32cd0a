package storage

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// EachSession calls f for every session of the store, in no order, until f returns an error, and returns that. A session that is
// opened, ends or is moved to another node meanwhile may be left out, and one may be visited twice. Records that cannot be read are
// passed over; when all others were visited, the error of one of them is returned (fosite.ErrTemporarilyUnavailable). It visits every
// key of Redis, which takes Redis about a second for a million.
func (t *Tokens) EachSession(ctx context.Context, f func(SessionInfo) error) error {
	var unreadable error
	err := t.eachRecord(ctx, func(list []SessionInfo) error {
		list, err := t.living(ctx, list)
		if err != nil && !errors.Is(err, unavailable.ErrRecord) {
			return err
		}
		unreadable = cmp.Or(unreadable, err)
		for _, info := range list {
			if err := f(info); err != nil {
				return err
			}
		}
		return nil
	})
	return cmp.Or(err, unreadable)
}

// eachRecord calls f for the sessions that are stored, some at a time, also for those that have ended. At the end it returns the error of
// a record that could not be read.
func (t *Tokens) eachRecord(ctx context.Context, f func([]SessionInfo) error) error {
	cluster, ok := t.db.Client.(*redis.ClusterClient)
	if !ok {
		unreadable, err := t.eachRecordOn(ctx, t.db.Client, f)
		return cmp.Or(err, unreadable)
	}
	nodes, err := t.primaries(ctx, cluster)
	if err != nil {
		return err
	}
	var unreadable error
	for _, node := range nodes {
		bad, err := t.eachRecordOn(ctx, node, f)
		if err != nil {
			return err
		}
		unreadable = cmp.Or(unreadable, bad)
	}
	return unreadable
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

func (t *Tokens) eachRecordOn(ctx context.Context, node redis.Cmdable, f func([]SessionInfo) error) (unreadable, err error) {
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
			return nil, err
		}
		list, bad, err := t.readSessions(ctx, t.storedAt(keys))
		if err != nil {
			return nil, err
		}
		unreadable = cmp.Or(unreadable, bad)
		if found = found || len(list) > 0; len(list) > 0 {
			if err := f(list); err != nil {
				return nil, err
			}
		}
		if cursor == 0 {
			break
		}
	}
	if !found {
		err = t.db.CheckEpoch(ctx, opListSessions)
	}
	return unreadable, err
}

// storedAt returns the sessions that are at some keys of Redis.
func (t *Tokens) storedAt(keys []string) []storedSession {
	var list []storedSession
	for _, key := range keys {
		if raw, slot, ok := t.db.Keys.ParseSession(key); ok {
			list = append(list, storedSession{key: key, evicted: t.db.Keys.EvictedAt(slot), name: redisdb.TextName(raw)})
		} else if tag, name, ok := strings.Cut(strings.TrimPrefix(key, t.db.Keys.Prefix+"s:{"), "}:"); ok && len(tag) == redisdb.TagLength && len(name) == nameLength {
			list = append(list, t.stored(tag, name))
		}
	}
	return list
}
