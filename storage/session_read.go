package storage

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// sessionRead is what one look-up of a token reads, in one round trip: the session, the sessions that it was made from, the
// user of them all, and Redis's clock. All of it is in one Redis Cluster slot, but for the roles.
type sessionRead struct {
	key     sessionKey
	session *session   // nil where there is none
	parents []*session // those that it was made from, the nearest first; nil where one is gone
	user    *account
	now     int64 // Redis's clock in milliseconds: the one that the expiry of records was reckoned by

	endedBefore int64 // sessions of before have ended, in milliseconds; 0: none

	evicted []bool // by another login of the user: the session, and those that it was made from
	inGrace bool   // there is an earlier answer for the refresh token
}

// readSession reads a session. refreshToken is the refresh token to look for an earlier answer, or nil. Within a unit of work
// that refreshes, the account is read with its roles and kept.
func (t *Tokens) readSession(ctx context.Context, key sessionKey, refreshToken *tokenName) (*sessionRead, error) {
	var (
		k       = t.db.Keys
		b       = batchFrom(ctx)
		tag     = key.tag()
		names   = append([]string{key.name()}, key.parents()...)
		keys    = []string{k.User(tag), k.EndedBefore(tag)} // then the sessions, each at both its places
		values  *redis.SliceCmd
		roles   *redis.StringSliceCmd
		clock   *redisdb.Clock
		evicted = make([][2]*redis.FloatCmd, len(names))
		answer  *redis.IntCmd
	)
	for _, name := range names {
		keys = append(keys, k.Session(tag, name), k.OldSession(tag, name))
	}
	err := t.db.Do(ctx, opReadSession, func(ctx context.Context) error {
		var commands []redis.Cmder
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			values = p.MGet(ctx, keys...)
			clock = t.db.QueueClock(ctx, p, k.User(tag))
			commands = append(commands, values, clock.Cmder)
			for i, name := range names {
				if i > 0 || refreshToken != nil {
					evicted[i] = [2]*redis.FloatCmd{
						p.ZScore(ctx, k.Evicted(tag), redisdb.RawName(name)), p.ZScore(ctx, k.OldEvicted(tag), name),
					}
					commands = append(commands, evicted[i][0], evicted[i][1])
				}
			}
			if b != nil {
				roles = p.SMembers(ctx, k.SuperRoles())
				commands = append(commands, roles)
			}
			if refreshToken != nil {
				answer = p.Exists(ctx, k.Answer(tag, key.name(), refreshToken.short()))
				commands = append(commands, answer)
			}
			return nil
		})
		return redisdb.FirstError(err, commands...)
	})
	if err != nil {
		return nil, err
	}
	r := &sessionRead{
		key: key, user: &account{tag: tag}, parents: make([]*session, len(names)-1), evicted: make([]bool, len(names)),
		inGrace: answer != nil && answer.Val() == 1,
	}
	if roles != nil {
		r.user.superRoles = roles.Val()
	}
	if r.now, err = clock.Milliseconds(); err != nil {
		return nil, unavailable.Error(opReadSession, err)
	}
	for i, e := range evicted {
		r.evicted[i] = e[0] != nil && (e[0].Err() == nil || e[1].Err() == nil)
	}
	if err := r.decode(values.Val()); err != nil {
		return nil, err
	}
	b.remember(r.user)
	return r, nil
}

// decode reads the values of the keys of readSession.
func (r *sessionRead) decode(values []any) error {
	if err := r.decodeSubject(values); err != nil {
		return err
	}
	for i := range len(r.parents) + 1 {
		raw, ok := values[2+2*i].(string)
		if !ok {
			raw, ok = values[3+2*i].(string)
		}
		if !ok {
			continue
		}
		s, err := decodeSession(opReadSession, raw)
		if err != nil {
			return err
		}
		if i == 0 {
			r.session = s
		} else {
			r.parents[i-1] = s
		}
	}
	return nil
}

// decodeSubject reads the values of the user and of EndedBefore.
func (r *sessionRead) decodeSubject(values []any) error {
	if record, ok := values[0].(string); ok {
		r.user.record = []byte(record)
	}
	if ended, ok := values[1].(string); ok {
		var err error
		if r.endedBefore, err = strconv.ParseInt(ended, 10, 64); err != nil {
			return unavailable.Error(opReadSession, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
		}
	}
	return nil
}

// checkUser returns fosite.ErrNotFound unless the user of the session is active. The tokens of a disabled user are valid again
// when the user is enabled. A subject without a record is a user of another directory.
func (t *Tokens) checkUser(r *sessionRead) error {
	state, err := r.user.state()
	if err == nil && state != nil && !state.Active {
		return fosite.ErrNotFound
	}
	return err
}

// checkLive returns fosite.ErrNotFound if the session has ended for good: it is gone, or one that it was made from is, or the
// sessions of the user were ended since it was opened. Whether its client's were ended is checked when the client is read.
func (t *Tokens) checkLive(ctx context.Context, r *sessionRead) error {
	if r.session == nil {
		return t.db.Missing(ctx, opReadSession)
	}
	state, err := r.user.state()
	if err != nil {
		return err
	}
	for i, s := range append([]*session{r.session}, r.parents...) {
		if s == nil {
			return t.db.Missing(ctx, opReadSession)
		}
		if i > 0 && !r.liveParent(i) {
			return fosite.ErrNotFound
		}
		switch {
		case state != nil && s.generation != rawGeneration(state.Generation), s.created <= r.endedBefore:
			return fosite.ErrNotFound
		case state == nil && s.generation != "":
			return t.db.Missing(ctx, opReadSession) // the user was dropped, unless Redis has lost the record
		}
	}
	for _, parent := range r.parents {
		if _, _, err := t.clientOf(ctx, parent); err != nil {
			return err
		}
	}
	return nil
}

// liveParent tells whether the token is still good that a session was made from: an access token of the parent of that number,
// counted from 1, or its refresh token, which may have been rotated since.
func (r *sessionRead) liveParent(number int) bool {
	parent, child := r.parents[number-1], r.session
	if number > 1 {
		child = r.parents[number-2]
	}
	if child.parent == "" {
		return parent.current != "" && !r.evicted[number]
	}
	return parent.accepts(child.parent, r.now)
}

// decodeRequest makes a fosite request of a stored session.
func (t *Tokens) decodeRequest(ctx context.Context, r *sessionRead, into fosite.Session) (fosite.Requester, error) {
	d, client, err := t.clientOf(ctx, r.session)
	if err != nil {
		return nil, err
	}
	requestID := r.session.requestID(r.key)
	if _, native := parseSessionID(requestID); !native {
		t.pointers.add(t.db.Keys.RequestPointer(requestID), r.key) // what is done with the token next names the request
	}
	req, err := d.request(requestID, client, into)
	if err != nil {
		return nil, unavailable.Error(opReadSession, err)
	}
	return req, nil
}
