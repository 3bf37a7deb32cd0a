package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// storedSession is where a session is stored: at one of two keys.
type storedSession struct {
	key, oldKey         string
	evicted, oldEvicted string
	name                string // 22 characters
	tag                 string // empty when only the key is known
}

func (t *Tokens) stored(tag, name string) storedSession {
	k := t.db.Keys
	return storedSession{
		key: k.Session(tag, name), oldKey: k.OldSession(tag, name), evicted: k.Evicted(tag), oldEvicted: k.OldEvicted(tag),
		name: name, tag: tag,
	}
}

const readChunk = 200

// readSessions reads sessions, a chunk per round trip. Those that have ended meanwhile are left out, and those that are there
// twice.
func (t *Tokens) readSessions(ctx context.Context, sessions []storedSession) ([]SessionInfo, error) {
	var list []SessionInfo
	seen := make(map[string]bool, len(sessions))
	for chunk := range slices.Chunk(sessions, readChunk) {
		infos, unreadable, err := t.readChunk(ctx, chunk)
		if err = cmp.Or(err, unreadable); err != nil {
			return nil, err
		}
		for _, info := range infos {
			if !seen[info.ID] {
				seen[info.ID] = true
				list = append(list, info)
			}
		}
	}
	t.resolveAgents(ctx, list)
	return list, nil
}

// readChunk reads some sessions. unreadable is the error of a record that cannot be read; the others are returned.
func (t *Tokens) readChunk(ctx context.Context, chunk []storedSession) (list []SessionInfo, unreadable, err error) {
	type read struct {
		raw     [2]*redis.StringCmd
		left    [2]*redis.DurationCmd
		evicted [2]*redis.FloatCmd
	}
	reads := make([]read, len(chunk))
	err = t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		var commands []redis.Cmder
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, s := range chunk {
				r := &reads[i]
				for n, at := range []struct{ key, evicted, name string }{
					{s.key, s.evicted, redisdb.RawName(s.name)}, {s.oldKey, s.oldEvicted, s.name},
				} {
					if at.key != "" {
						r.raw[n], r.left[n], r.evicted[n] = p.Get(ctx, at.key), p.PTTL(ctx, at.key), p.ZScore(ctx, at.evicted, at.name)
						commands = append(commands, r.raw[n], r.left[n], r.evicted[n])
					}
				}
			}
			return nil
		})
		return redisdb.FirstError(err, commands...)
	})
	if err != nil {
		return nil, nil, err
	}
	for i, r := range reads {
		for n := range r.raw {
			if r.raw[n] == nil || errors.Is(r.raw[n].Err(), redis.Nil) {
				continue
			}
			info, err := sessionInfo(r.raw[n].Val(), chunk[i], r.left[n].Val(), r.evicted[n].Err() == nil)
			if err != nil {
				unreadable = err
				break
			}
			list = append(list, info)
			break
		}
	}
	return list, unreadable, nil
}

func sessionInfo(raw string, stored storedSession, left time.Duration, evicted bool) (SessionInfo, error) {
	s, err := decodeSession(opListSessions, raw)
	if err != nil {
		return SessionInfo{}, err
	}
	d, err := decodeDocument(opListSessions, s.body)
	if err != nil {
		return SessionInfo{}, err
	}
	key := plainKey(d.Subject, redisdb.RawName(stored.name))
	if stored.tag != "" {
		key = sessionKey(stored.tag + stored.name)
	}
	info := SessionInfo{
		ID: s.requestID(key), Subject: d.Subject, Client: d.Client, Scopes: d.Scopes, Audience: d.Audience, Address: d.address,
		Created:       time.UnixMilli(s.created).UTC(),
		LastUsed:      time.UnixMilli(d.lastUsed).UTC(),
		Expires:       time.Now().Add(left).UTC().Truncate(time.Millisecond),
		Refreshable:   s.current != "" && !evicted,
		RefreshNumber: s.number, ListedTokens: len(s.access), RevokedTokens: len(s.revoked),
		RecordVersion: s.version, RecordSize: s.size,
		Data: d.Session, name: stored.name,
	}
	if s.version == oldRecordVersion {
		info.UserAgent = d.userAgent
	} else {
		info.agentHash = d.userAgent
	}
	return info, nil
}

func sortByExpiry(list []SessionInfo) {
	slices.SortStableFunc(list, func(a, b SessionInfo) int { return b.Expires.Compare(a.Expires) })
}

// EachSession calls f for every session of the store, in no order, until f returns an error, and returns that. A session that is
// opened or ends meanwhile may be left out. It visits every key of Redis (SCAN), which takes Redis about a second for a million.
func (t *Tokens) EachSession(ctx context.Context, f func(SessionInfo) error) error {
	cluster, ok := t.db.Client.(*redis.ClusterClient)
	if !ok {
		return t.eachSessionOn(ctx, t.db.Client, f)
	}
	var one sync.Mutex // f is called by one node at a time
	return t.onEachPrimary(ctx, cluster, func(ctx context.Context, node *redis.Client) error {
		return t.eachSessionOn(ctx, node, func(info SessionInfo) error {
			one.Lock()
			defer one.Unlock()
			return f(info)
		})
	})
}

func (t *Tokens) onEachPrimary(ctx context.Context, cluster *redis.ClusterClient, f func(context.Context, *redis.Client) error) error {
	var nodes []*redis.Client
	var mutex sync.Mutex
	err := t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		return cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mutex.Lock()
			defer mutex.Unlock()
			nodes = append(nodes, node)
			return nil
		})
	})
	for _, node := range nodes {
		if err == nil {
			err = f(ctx, node)
		}
	}
	return err
}

func (t *Tokens) eachSessionOn(ctx context.Context, node redis.Cmdable, f func(SessionInfo) error) error {
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
		for _, info := range list {
			found = true
			if err := f(info); err != nil {
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
