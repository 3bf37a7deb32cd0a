package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
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

// plainKey is the key of a session of the subject, unless its record has another ID.
func (s storedSession) plainKey(subject string) sessionKey {
	if s.tag != "" {
		return sessionKey(s.tag + s.name)
	}
	return plainKey(subject, redisdb.RawName(s.name))
}

const readChunk = 200

// readSessions reads sessions, a chunk per round trip. Those that have ended meanwhile are left out, and those that are there
// twice. unreadable is the error of a record that cannot be read; the others are returned.
func (t *Tokens) readSessions(ctx context.Context, sessions []storedSession) (list []SessionInfo, unreadable, err error) {
	seen := make(map[string]bool, len(sessions))
	for chunk := range slices.Chunk(sessions, readChunk) {
		infos, bad, err := t.readChunk(ctx, chunk)
		if err != nil {
			return nil, nil, err
		}
		unreadable = cmp.Or(unreadable, bad)
		for _, info := range infos {
			if !seen[info.ID] {
				seen[info.ID] = true
				list = append(list, info)
			}
		}
	}
	t.resolveAgents(ctx, list)
	return list, unreadable, nil
}

// readChunk reads some sessions. unreadable is the error of a record that cannot be read; the others are returned. Each is looked for
// at its old place first, because it may be moved from there meanwhile.
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
					{s.oldKey, s.oldEvicted, s.name}, {s.key, s.evicted, redisdb.RawName(s.name)},
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
		for n := range slices.Backward(r.raw[:]) {
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
	return SessionInfo{
		ID: s.requestID(stored.plainKey(d.Subject)), Subject: d.Subject, Client: d.Client, Scopes: d.Scopes, Audience: d.Audience,
		Address: d.address, UserAgent: d.userAgent,
		Created:       time.UnixMilli(s.created).UTC(),
		LastUsed:      time.UnixMilli(d.lastUsed).UTC(),
		Expires:       time.Now().Add(left).UTC().Truncate(time.Millisecond),
		Refreshable:   s.current != "" && !evicted,
		RefreshNumber: s.number, ListedTokens: len(s.access), RevokedTokens: len(s.revoked),
		RecordVersion: s.version, RecordSize: s.size,
		Data: d.Session, name: stored.name, key: keyAt(stored, s, d), agentHash: d.agentHash,
		createdMilli: s.created, generation: s.generation, clientGeneration: s.clientGeneration,
	}, nil
}

// keyAt returns the key of a session, empty if neither its record nor where it is stored tells it.
func keyAt(stored storedSession, s *session, d *document) sessionKey {
	key := stored.plainKey(d.Subject)
	if stored.tag != "" {
		return key
	}
	if id, native := parseSessionID(s.id); native {
		key = sessionKey(id.own())
	} else if s.id != "" && d.Subject == "" {
		key = sessionKey(redisdb.Hash(s.id)[:redisdb.TagLength] + stored.name)
	}
	if !strings.HasSuffix(stored.key, "s{"+redisdb.SlotTag(key.tag())+"}"+key.raw()) {
		return ""
	}
	return key
}

func sortByExpiry(list []SessionInfo) {
	slices.SortStableFunc(list, func(a, b SessionInfo) int { return b.Expires.Compare(a.Expires) })
}

// living leaves out sessions that have ended though their records are there: because the sessions of their user or their client
// were ended since they were opened. Where an index was lost, such a record stays until it expires. With the error of a record of a
// user or a client that cannot be read, the other sessions are returned.
func (t *Tokens) living(ctx context.Context, list []SessionInfo) ([]SessionInfo, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var users map[string]*redis.SliceCmd
	err := t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		users = make(map[string]*redis.SliceCmd)
		var commands []redis.Cmder
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, info := range list {
				if _, ok := users[info.Subject]; ok || info.Subject == "" {
					continue
				}
				tag := redisdb.SubjectTag(info.Subject)
				users[info.Subject] = p.MGet(ctx, t.db.Keys.User(tag), t.db.Keys.EndedBefore(tag))
				commands = append(commands, users[info.Subject])
			}
			return nil
		})
		return redisdb.FirstError(err, commands...)
	})
	if err != nil {
		return nil, err
	}
	var unreadable error
	alive := list[:0]
	for _, info := range list {
		r := &sessionRead{user: &account{}}
		if user, ok := users[info.Subject]; ok {
			if err := r.decodeSubject(user.Val()); err != nil {
				unreadable = cmp.Or(unreadable, err)
				continue
			}
		}
		ok, err := t.isAlive(ctx, r, info)
		switch {
		case errors.Is(err, unavailable.ErrRecord):
			unreadable = cmp.Or(unreadable, err)
		case err != nil:
			return nil, err
		case ok:
			alive = append(alive, info)
		}
	}
	return alive, unreadable
}

func (t *Tokens) isAlive(ctx context.Context, r *sessionRead, info SessionInfo) (bool, error) {
	state, err := r.user.state()
	if err != nil {
		return false, err
	}
	generation := ""
	if state != nil {
		generation = rawGeneration(state.Generation)
	}
	if info.generation != generation || info.createdMilli <= r.endedBefore {
		return false, nil
	}
	_, err = t.clientOfGeneration(ctx, info.Client, info.clientGeneration)
	if errors.Is(err, fosite.ErrNotFound) && !unavailable.Is(err) {
		return false, nil
	}
	return err == nil, err
}
