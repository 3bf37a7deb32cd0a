package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const opReadSession = "read session"

// GetAccessTokenSession implements fosite's AccessTokenStorage, in one round trip.
func (t *Tokens) GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	key, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	var raw *redis.StringCmd
	user := &accountRead{keys: t.db.Keys, tags: []string{key.tag()}, noRoles: true}
	err = t.db.Do(ctx, opReadSession, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			raw = p.Get(ctx, t.db.Keys.Session(key.tag(), key.name()))
			user.queue(ctx, p)
			return nil
		})
		return redisdb.FirstError(user.err(err), raw)
	})
	if err != nil {
		return nil, err
	}
	if raw.Err() != nil {
		return nil, t.db.Missing(ctx, opReadSession)
	}
	if err := user.account(0).checkActive(); err != nil {
		return nil, err
	}
	s, err := decodeSession(opReadSession, raw.Val())
	if err != nil {
		return nil, err
	}
	if !s.access(hash[:accessLength], time.Now().UnixMilli()) {
		return nil, fosite.ErrNotFound
	}
	return t.decodeRequest(ctx, s, key, into)
}

// GetRefreshTokenSession implements fosite's RefreshTokenStorage, in one round trip. A used token within its grace period is
// answered like the current one: the step that follows decides.
func (t *Tokens) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	key, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readForRefresh(ctx, key, hash)
	if err != nil {
		return nil, err
	}
	s := r.session
	switch {
	case s == nil:
		return nil, t.db.Missing(ctx, opReadSession)
	case r.evicted, r.disabled:
		return nil, fosite.ErrNotFound
	case s.Current == hash && s.CurrentExpires > time.Now().UnixMilli():
		return t.decodeRequest(ctx, s, key, into)
	case s.used(hash):
		req, err := t.decodeRequest(ctx, s, key, into)
		if err == nil && !r.inGrace {
			err = fosite.ErrInactiveToken
		}
		return req, err
	}
	return nil, fosite.ErrNotFound
}

// refreshRead is what a refresh needs to know.
type refreshRead struct {
	session  *session // nil where there is none
	evicted  bool     // by another login of the user
	inGrace  bool     // the presented token was used, and its grace period is not over
	disabled bool     // the user is
}

// readForRefresh reads it in one round trip, and with it the subject's account for the unit of work.
func (t *Tokens) readForRefresh(ctx context.Context, key sessionKey, hash string) (refreshRead, error) {
	var (
		raw     *redis.StringCmd
		evicted *redis.FloatCmd
		answer  *redis.IntCmd
	)
	k, b := t.db.Keys, batchFrom(ctx)
	user := &accountRead{keys: k, tags: []string{key.tag()}, noRoles: b == nil}
	err := t.db.Do(ctx, opReadSession, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			raw = p.Get(ctx, k.Session(key.tag(), key.name()))
			evicted = p.ZScore(ctx, k.Evicted(key.tag()), key.name())
			answer = p.Exists(ctx, k.Answer(key.tag(), key.name(), hash[:usedLength]))
			user.queue(ctx, p)
			return nil
		})
		return redisdb.FirstError(user.err(err), raw, evicted, answer)
	})
	if err != nil {
		return refreshRead{}, err
	}
	r := refreshRead{evicted: evicted.Err() == nil, inGrace: answer.Val() == 1}
	a := user.account(0)
	if err := a.checkActive(); unavailable.Is(err) {
		return refreshRead{}, err
	} else if err != nil {
		r.disabled = true
	}
	if raw.Err() == nil {
		if r.session, err = decodeSession(opReadSession, raw.Val()); err != nil {
			return refreshRead{}, err
		}
	}
	b.remember(a)
	return r, nil
}

// decodeRequest makes a fosite request of a stored session.
func (t *Tokens) decodeRequest(ctx context.Context, s *session, key sessionKey, into fosite.Session) (fosite.Requester, error) {
	d, err := decodeDocument(opReadSession, s.Doc)
	if err != nil {
		return nil, err
	}
	client, err := t.clients.GetClient(ctx, d.Client)
	if errors.Is(err, fosite.ErrNotFound) {
		return nil, err
	}
	if err != nil {
		return nil, unavailable.Error("read client of a session", err)
	}
	req, err := d.request(s.requestID(key), client, into)
	if err != nil {
		return nil, unavailable.Error(opReadSession, err)
	}
	return req, nil
}

// tokenHash is the name of a token within its session.
func tokenHash(signature string) string {
	if _, hash, ok := parseSignature(signature); ok {
		return hash
	}
	return redisdb.Hash(signature)
}

// locate returns the session of a signature, from the signature itself or, for a foreign one, from its pointer in Redis.
func (t *Tokens) locate(ctx context.Context, signature string) (key sessionKey, hash string, err error) {
	if key, hash, ok := parseSignature(signature); ok {
		return key, hash, nil
	}
	if signature == "" {
		return "", "", fosite.ErrNotFound
	}
	key, err = t.readPointer(ctx, t.db.Keys.SignaturePointer(signature))
	return key, redisdb.Hash(signature), err
}

func (t *Tokens) locateRequest(ctx context.Context, requestID string) (sessionKey, error) {
	if key, ok := parseSessionID(requestID); ok {
		return key, nil
	}
	return t.readPointer(ctx, t.db.Keys.RequestPointer(requestID))
}

func (t *Tokens) readPointer(ctx context.Context, pointer string) (sessionKey, error) {
	const op = "read pointer"
	var to string
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		to, err = t.db.Client.Get(ctx, pointer).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", t.db.Missing(ctx, op)
	}
	if err != nil {
		return "", err
	}
	key, ok := parseSessionID(to)
	if !ok {
		return "", unavailable.Error(op, unavailable.ErrRecord)
	}
	return key, nil
}
