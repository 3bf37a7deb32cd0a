package storage

import (
	"context"
	"errors"

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

	evicted []bool // by another login of the user: the session, and those that it was made from
	inGrace bool   // there is an earlier answer for the refresh token
}

// readSession reads a session. refreshToken is the hash of a refresh token to look for an earlier answer, or empty. Within a
// unit of work that refreshes, the account is read with its roles and kept.
func (t *Tokens) readSession(ctx context.Context, key sessionKey, refreshToken string) (*sessionRead, error) {
	var (
		k       = t.db.Keys
		b       = batchFrom(ctx)
		names   = append([]string{key.name()}, key.parents()...)
		raw     = make([]*redis.StringCmd, len(names))
		user    = &accountRead{keys: k, tags: []string{key.tag()}, noRoles: b == nil}
		clock   *redisdb.Clock
		evicted = make([]*redis.FloatCmd, len(names))
		answer  *redis.IntCmd
	)
	err := t.db.Do(ctx, opReadSession, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				raw[i] = p.Get(ctx, k.Session(key.tag(), name))
				if i > 0 || refreshToken != "" {
					evicted[i] = p.ZScore(ctx, k.Evicted(key.tag()), name)
				}
			}
			user.queue(ctx, p)
			clock = t.db.QueueClock(ctx, p, k.Session(key.tag(), key.name()))
			if refreshToken != "" {
				answer = p.Exists(ctx, k.Answer(key.tag(), key.name(), refreshToken[:usedLength]))
			}
			return nil
		})
		commands := []redis.Cmder{clock.Cmder}
		for i, c := range raw {
			if commands = append(commands, c); evicted[i] != nil {
				commands = append(commands, evicted[i])
			}
		}
		if refreshToken != "" {
			commands = append(commands, answer)
		}
		return redisdb.FirstError(user.err(err), commands...)
	})
	if err != nil {
		return nil, err
	}
	r := &sessionRead{key: key, user: user.account(0), parents: make([]*session, len(names)-1), evicted: make([]bool, len(names))}
	if r.now, err = clock.Milliseconds(); err != nil {
		return nil, unavailable.Error(opReadSession, err)
	}
	if refreshToken != "" {
		r.inGrace = answer.Val() == 1
	}
	for i, c := range raw {
		r.evicted[i] = evicted[i] != nil && evicted[i].Err() == nil
		if c.Err() != nil {
			continue
		}
		s, err := decodeSession(opReadSession, c.Val())
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.session = s
		} else {
			r.parents[i-1] = s
		}
	}
	b.remember(r.user)
	return r, nil
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
		case state != nil && s.Generation != state.Generation:
			return fosite.ErrNotFound
		case state == nil && s.Generation != "":
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
	if child.Parent == "" {
		return parent.Current != "" && !r.evicted[number]
	}
	return parent.access(child.Parent, r.now)
}

// clientOf returns the stored request of a session and its client. fosite.ErrNotFound: the client was removed, or its sessions
// were ended since this one was opened.
func (t *Tokens) clientOf(ctx context.Context, s *session) (*document, fosite.Client, error) {
	d, err := decodeDocument(opReadSession, s.Doc)
	if err != nil {
		return nil, nil, err
	}
	client, err := t.clients.GetClient(ctx, d.Client)
	if err == nil && t.policyOf(client).Generation != s.ClientGeneration {
		client, err = t.refetch(ctx, d.Client, s.ClientGeneration)
	}
	if errors.Is(err, fosite.ErrNotFound) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, unavailable.Error("read client of a session", err)
	}
	return d, client, nil
}

// refetch reads a client past the cache: the client or the session may be newer than what is in it.
func (t *Tokens) refetch(ctx context.Context, id, generation string) (fosite.Client, error) {
	client, err := t.getClientAnew(ctx, id)
	if err == nil && t.policyOf(client).Generation != generation {
		return nil, fosite.ErrNotFound
	}
	return client, err
}

func (t *Tokens) getClientAnew(ctx context.Context, id string) (fosite.Client, error) {
	registry, ok := t.clients.(*Clients)
	if !ok {
		return t.clients.GetClient(ctx, id)
	}
	client, err := registry.readAnew(ctx, id)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// decodeRequest makes a fosite request of a stored session.
func (t *Tokens) decodeRequest(ctx context.Context, r *sessionRead, into fosite.Session) (fosite.Requester, error) {
	d, client, err := t.clientOf(ctx, r.session)
	if err != nil {
		return nil, err
	}
	req, err := d.request(r.session.requestID(r.key), client, into)
	if err != nil {
		return nil, unavailable.Error(opReadSession, err)
	}
	return req, nil
}

// access tells whether the hash names a valid access token.
func (s *session) access(hash string, now int64) bool {
	if expires, listed := s.Access[hash]; listed {
		return expires > now
	}
	_, revoked := s.Revoked[hash]
	return s.SelfContained && !revoked && s.AccessExpires > now
}

// used tells whether the hash names a refresh token that was rotated.
func (s *session) used(hash string) bool {
	if s.Previous == hash {
		return true
	}
	short := hash[:usedLength]
	for i := 0; i+usedLength <= len(s.Used); i += usedLength {
		if s.Used[i:i+usedLength] == short {
			return true
		}
	}
	return false
}
