package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const opReadSession = "read session"

// GetAccessTokenSession implements fosite's AccessTokenStorage, in one round trip.
func (t *Tokens) GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (_ fosite.Requester, err error) {
	defer unavailable.Note(ctx, &err)
	key, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readSession(ctx, key, "")
	if err == nil {
		err = t.checkUser(r)
	}
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if !r.session.access(hash[:accessLength], r.now) {
		return nil, fosite.ErrNotFound
	}
	return t.decodeRequest(ctx, r, into)
}

// GetRefreshTokenSession implements fosite's RefreshTokenStorage, in one round trip. A used token within its grace period is
// answered like the current one: the step that follows decides.
func (t *Tokens) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (_ fosite.Requester, err error) {
	defer unavailable.Note(ctx, &err)
	key, hash, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readSession(ctx, key, hash)
	if err == nil {
		err = t.checkUser(r)
	}
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return t.decodeRefresh(ctx, r, hash, into)
}

func (t *Tokens) decodeRefresh(ctx context.Context, r *sessionRead, hash string, into fosite.Session) (fosite.Requester, error) {
	s := r.session
	switch {
	case r.evicted[0]:
		return nil, fosite.ErrNotFound
	case s.Current == hash && s.CurrentExpires > r.now:
		return t.decodeRequest(ctx, r, into)
	case s.used(hash):
		req, err := t.decodeRequest(ctx, r, into)
		if err == nil && !r.inGrace {
			err = fosite.ErrInactiveToken
		}
		return req, err
	}
	return nil, fosite.ErrNotFound
}

// TokenOwner returns the session of a token and its client, for revocation: unlike the other look-ups it finds the tokens of
// a disabled user too, which would be valid again once the user is enabled. A refresh token that was used is found as well.
// fosite.ErrNotFound: there is no such token, or it is no longer valid. It takes one round trip.
func (t *Tokens) TokenOwner(ctx context.Context, signature string, refresh bool) (requestID, clientID string, err error) {
	key, hash, err := t.locate(ctx, signature)
	if err != nil {
		return "", "", err
	}
	r, err := t.readSession(ctx, key, hash)
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return "", "", err
	}
	s := r.session
	if refresh && s.Current != hash && !s.used(hash) || !refresh && !s.access(hash[:accessLength], r.now) {
		return "", "", fosite.ErrNotFound
	}
	d, err := decodeDocument(opReadSession, s.Doc)
	if err != nil {
		return "", "", err
	}
	return s.requestID(key), d.Client, nil
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
