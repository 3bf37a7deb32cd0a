package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// GetAccessTokenSession implements fosite's AccessTokenStorage, in one round trip.
func (t *Tokens) GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	at, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	var raw, user *redis.StringCmd
	err = t.db.do(ctx, "read session", func(ctx context.Context) error {
		_, err := t.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			raw = p.Get(ctx, t.db.keys.session(at))
			user = p.Get(ctx, t.db.keys.user(at.tag()))
			return nil
		})
		return firstFailure(err, raw, user)
	})
	if err != nil {
		return nil, err
	}
	if raw.Err() != nil {
		return nil, t.db.missing(ctx, "read session")
	}
	if err := suspended(user); err != nil {
		return nil, err
	}
	s, err := decodeSession(raw.Val())
	if err != nil {
		return nil, dontKnow("read session", err)
	}
	if !s.access(hash[:accessLength], time.Now().UnixMilli()) {
		return nil, fosite.ErrNotFound
	}
	return t.hydrate(ctx, s, at, into)
}

// GetRefreshTokenSession implements fosite's RefreshTokenStorage, in one round trip. A used token within its grace is
// answered like a good one: the step that follows decides.
func (t *Tokens) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	at, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readForRefresh(ctx, at, hash)
	if err != nil {
		return nil, err
	}
	s := r.session
	switch {
	case s == nil:
		return nil, t.db.missing(ctx, "read session")
	case r.evicted, r.suspended:
		return nil, fosite.ErrNotFound
	case s.Current == hash && s.CurrentExpires > time.Now().UnixMilli():
	case s.used(hash):
		req, err := t.hydrate(ctx, s, at, into)
		if err != nil {
			return nil, err
		}
		if !r.graceful {
			return req, fosite.ErrInactiveToken
		}
		return req, nil
	default:
		return nil, fosite.ErrNotFound
	}
	return t.hydrate(ctx, s, at, into)
}

type refreshRead struct {
	session   *session // nil where there is none
	evicted   bool
	graceful  bool
	suspended bool // the user is disabled
}

// readForRefresh reads what a refresh needs: the session, whether another login evicted it, whether the token is in its
// grace, and, for the same unit of work, the subject's user record, which is in the same slot.
func (t *Tokens) readForRefresh(ctx context.Context, at location, hash string) (refreshRead, error) {
	var (
		raw, user *redis.StringCmd
		evicted   *redis.FloatCmd
		graceful  *redis.IntCmd
		supers    *redis.StringSliceCmd
	)
	k, b := t.db.keys, batchFrom(ctx)
	err := t.db.do(ctx, "read session", func(ctx context.Context) error {
		_, err := t.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			raw = p.Get(ctx, k.session(at))
			evicted = p.ZScore(ctx, k.evicted(at.tag()), at.rest())
			graceful = p.Exists(ctx, k.answer(at, hash[:usedLength]))
			user = p.Get(ctx, k.user(at.tag()))
			if b != nil {
				supers = p.SMembers(ctx, k.supers())
			}
			return nil
		})
		if b != nil && err == nil {
			err = supers.Err()
		}
		return firstFailure(err, raw, evicted, graceful, user)
	})
	if err != nil {
		return refreshRead{}, err
	}
	r := refreshRead{evicted: evicted.Err() == nil, graceful: graceful.Val() == 1}
	switch err := suspended(user); {
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return refreshRead{}, err
	case err != nil:
		r.suspended = true
	}
	if raw.Err() == nil {
		if r.session, err = decodeSession(raw.Val()); err != nil {
			return refreshRead{}, dontKnow("read session", err)
		}
	}
	if b != nil {
		a := &account{tag: at.tag(), supers: supers.Val()}
		if user.Err() == nil {
			a.record = []byte(user.Val())
		}
		b.remember(a)
	}
	return r, nil
}

// hydrate makes a fosite request of a stored session.
func (t *Tokens) hydrate(ctx context.Context, s *session, at location, into fosite.Session) (fosite.Requester, error) {
	d, err := decodeDocument(s.Doc)
	if err != nil {
		return nil, dontKnow("read session", err)
	}
	client, err := t.clients.GetClient(ctx, d.Client)
	if err != nil {
		if errors.Is(err, fosite.ErrNotFound) {
			return nil, err
		}
		return nil, dontKnow("client of a session", err)
	}
	id := s.ID
	if id == "" {
		id = string(at)
	}
	req, err := d.request(id, client, into)
	if err != nil {
		return nil, dontKnow("read session", err)
	}
	return req, nil
}

// follow reads a pointer key.
func (t *Tokens) follow(ctx context.Context, key string) (location, error) {
	var to string
	err := t.db.do(ctx, "follow pointer", func(ctx context.Context) error {
		var err error
		to, err = t.db.rdb.Get(ctx, key).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", t.db.missing(ctx, "follow pointer")
	}
	if err != nil {
		return "", err
	}
	at, ok := parseSessionID(to)
	if !ok {
		return "", dontKnow("follow pointer", errRecord)
	}
	return at, nil
}

// accountState are the members of a user record that sessions depend on.
type accountState struct {
	Revision string `json:"rev"`
	Active   bool   `json:"active"`
}

func decodeAccount(record []byte) (accountState, error) {
	var s accountState
	if err := json.Unmarshal(record, &s); err != nil {
		return s, dontKnow("read user", fmt.Errorf("%w: %w", errRecord, err))
	}
	return s, nil
}

// suspended tells whether the user of a session is disabled: then none of its tokens is good, until the user is enabled
// again. A subject without a record is somebody else's user.
func suspended(user *redis.StringCmd) error {
	if user.Err() != nil {
		return nil //nolint:nilerr // redis.Nil: firstFailure has passed on every other error
	}
	s, err := decodeAccount([]byte(user.Val()))
	if err == nil && !s.Active {
		return fosite.ErrNotFound
	}
	return err
}

// firstFailure returns what went wrong in a pipeline, where a missing key is nothing wrong.
func firstFailure(err error, commands ...redis.Cmder) error {
	for _, c := range commands {
		if c.Err() != nil && !errors.Is(c.Err(), redis.Nil) {
			return c.Err()
		}
	}
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
