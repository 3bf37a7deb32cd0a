package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// RevokeSubject ends all sessions of a subject, with all their tokens, and refuses all tokens that another server has issued
// to it so far. When it returns nil, none is left: sessions that are in no index have ended too, because the user's record
// says so. For a subject without an account, because users are kept elsewhere, a mark says so for ten years.
func (t *Tokens) RevokeSubject(ctx context.Context, subject string) error {
	accounts := &Users{db: t.db} // for the record alone
	found := true
	_, _, err := accounts.edit(ctx, opEndSessions, subject, func(r *userRecord) error {
		r.endSessions()
		return nil
	})
	if err != nil {
		if err = ignoreMissing(err); err != nil {
			return err
		}
		found = false
	}
	if !found {
		mark := redisdb.Call{
			Script: endedBeforeScript, Keys: []string{t.db.Keys.EndedBefore(redisdb.SubjectTag(subject))},
			Args: []any{endedBeforeTTL.Milliseconds()},
		}
		if _, err := t.db.Eval(ctx, opEndSessions, mark); err != nil {
			return err
		}
	}
	return endSubject(ctx, t.db, subject)
}

const (
	opEndSessions = "end sessions"
	// endedBeforeTTL is longer than sessions last.
	endedBeforeTTL = 10 * 365 * 24 * time.Hour
)

// endedBeforeScript notes that the sessions of a subject have ended which are there now. One that was opened right after the
// mark before this one, or since Redis's clock was set back, has a time after that mark, by session.lua.
//
//	KEYS  1 the mark
//	ARGV  1 its TTL in ms
//	reply 1
//	twice ends those too that were opened in between
var endedBeforeScript = redisdb.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SET', KEYS[1], math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0) + 10), 'PX', ARGV[1])
return 1`)

// RevokeClient ends the sessions that a client has at this moment and returns how many it found. If the client is in this store,
// the others end too: other servers see that within Options.ClientCache. To keep out later ones, remove the client first. It
// visits all sessions of the store, and returns an error as EachSession does when it has ended those that can be.
func (t *Tokens) RevokeClient(ctx context.Context, clientID string) (int, error) {
	if registry, ok := t.clients.(*Clients); ok {
		if err := ignoreMissing(registry.newGeneration(ctx, clientID)); err != nil {
			return 0, err
		}
	}
	ended, unreadable := 0, error(nil)
	err := t.eachRecord(ctx, func(list []SessionInfo) error {
		for _, info := range list {
			if info.Client != clientID {
				continue
			}
			switch err := t.endFound(ctx, info); {
			case errors.Is(err, unavailable.ErrRecord): // that of its user
				unreadable = cmp.Or(unreadable, err)
			case err != nil:
				return err
			default:
				ended++
			}
		}
		return nil
	})
	return ended, cmp.Or(err, unreadable)
}

// endFound ends a session that was found in Redis, where a foreign ID may have lost its pointer.
func (t *Tokens) endFound(ctx context.Context, info SessionInfo) error {
	if info.key == "" {
		return t.RevokeSession(ctx, info.ID)
	}
	return ignoreMissing(t.change(ctx, info.key, func(s *transition) error {
		_, native := parseSessionID(info.ID)
		s.foreign = !native
		s.step.EndRefresh, s.step.EndAccess = true, true
		return nil
	}))
}

// endScript ends sessions of one slot. The indexes come last: they are how an interrupted script is completed, and a member without
// a session does no harm.
//
//	KEYS  1 index   2 evicted ones   3, 4 old index and evicted ones of the subject   then each session at both its places
//	ARGV  for each session its name, and its name in the old index
//	reply {'ok'}
//	twice finds them removed
var endScript = redisdb.NewScript(`
local index, old_index = redis.call('ZRANGE', KEYS[1], 0, -1), redis.call('ZRANGE', KEYS[3], 0, -1)
local function remove(list, key, name, first, last)
  for _, member in ipairs(list) do
    if string.sub(member, first, last) == name then redis.call('ZREM', key, member) end
  end
end
for i = 1, #ARGV, 2 do
  local name, old_name = ARGV[i], ARGV[i + 1]
  redis.call('DEL', KEYS[4 + i], KEYS[5 + i])
  remove(index, KEYS[1], name, -#name, -1)
  remove(old_index, KEYS[3], old_name, 1, #old_name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('ZREM', KEYS[4], old_name)
end
return {'ok'}`)

// endSubject removes every session of a subject that is in the index, some hundreds per round trip. That they have ended, and
// others too, is for the user's record to say.
func endSubject(ctx context.Context, db *redisdb.DB, subject string) error {
	ctx = context.WithoutCancel(ctx)
	t := &Tokens{db: db} // to read sessions
	tag := redisdb.SubjectTag(subject)
	indexed, err := t.indexed(ctx, opEndSessions, tag)
	if err != nil {
		return err
	}
	k := db.Keys
	for chunk := range slices.Chunk(indexed, readChunk) {
		c := redisdb.Call{Script: endScript, Keys: []string{k.Sessions(tag), k.Evicted(tag), k.OldIndex(tag), k.OldEvicted(tag)}}
		infos, _, err := t.readChunk(ctx, chunk) // a record that cannot be read opens nothing
		if err != nil {
			return err
		}
		for _, info := range infos {
			if info.Subject != subject {
				continue
			}
			c.Keys = append(c.Keys, k.Session(tag, info.name), k.OldSession(tag, info.name))
			c.Args = append(c.Args, redisdb.RawName(info.name), info.name)
		}
		if len(c.Args) == 0 {
			continue
		}
		if _, err := db.Eval(ctx, opEndSessions, c); err != nil {
			return err
		}
	}
	return db.CheckEpoch(ctx, opEndSessions) // an emptied Redis has no sessions to end, but may get its data back
}
