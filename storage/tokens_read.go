package storage

import (
	"context"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const opReadSession = "read session"

// GetAccessTokenSession implements fosite's AccessTokenStorage, in one round trip.
func (t *Tokens) GetAccessTokenSession(ctx context.Context, signature string, into fosite.Session) (_ fosite.Requester, err error) {
	defer unavailable.Note(ctx, &err)
	key, token, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readSession(ctx, key, nil)
	if err == nil {
		err = t.checkUser(r)
	}
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if !r.session.accepts(token.raw(), r.now) {
		return nil, fosite.ErrNotFound
	}
	return t.decodeRequest(ctx, r, into)
}

// GetRefreshTokenSession implements fosite's RefreshTokenStorage, in one round trip. A used token within its grace period is
// answered like the current one: the step that follows decides.
func (t *Tokens) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (_ fosite.Requester, err error) {
	defer unavailable.Note(ctx, &err)
	key, token, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	r, err := t.readSession(ctx, key, &token)
	if err == nil {
		err = t.checkUser(r)
	}
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return t.decodeRefresh(ctx, r, token, into)
}

func (t *Tokens) decodeRefresh(ctx context.Context, r *sessionRead, token tokenName, into fosite.Session) (fosite.Requester, error) {
	s := r.session
	switch {
	case r.evicted[0]:
		return nil, fosite.ErrNotFound
	case s.current == token.raw() && s.currentExpires > r.now:
		return t.decodeRequest(ctx, r, into)
	case s.wasUsed(token):
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
	key, token, err := t.locate(ctx, signature)
	if err != nil {
		return "", "", err
	}
	r, err := t.readSession(ctx, key, nil)
	if err == nil {
		err = t.checkLive(ctx, r)
	}
	if err != nil {
		return "", "", err
	}
	s := r.session
	if refresh && s.current != token.raw() && !s.wasUsed(token) || !refresh && !s.accepts(token.raw(), r.now) {
		return "", "", fosite.ErrNotFound
	}
	d, err := decodeDocument(opReadSession, s.body)
	if err != nil {
		return "", "", err
	}
	return s.requestID(key), d.Client, nil
}

// locate returns the session of a signature, from the signature itself or, for a foreign one, from its pointer in Redis.
func (t *Tokens) locate(ctx context.Context, signature string) (sessionKey, tokenName, error) {
	if key, token, ok := parseSignature(signature); ok {
		return key, token, nil
	}
	if signature == "" {
		return "", tokenName{}, fosite.ErrNotFound
	}
	token := nameOf(signature)
	key, err := t.readPointer(ctx, t.db.Keys.SignaturePointer(token.raw()), t.db.Keys.OldSignaturePointer(signature))
	return key, token, err
}

func (t *Tokens) locateRequest(ctx context.Context, requestID string) (sessionKey, error) {
	if key, ok := parseSessionID(requestID); ok {
		return key, nil
	}
	return t.readPointer(ctx, t.db.Keys.RequestPointer(requestID))
}

// readPointer reads the first of some pointers that is there.
func (t *Tokens) readPointer(ctx context.Context, pointers ...string) (sessionKey, error) {
	const op = "read pointer"
	for _, pointer := range pointers {
		if key, ok := t.pointers.find(pointer); ok {
			return key, nil
		}
	}
	found := make([]*redis.StringCmd, len(pointers))
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		commands := make([]redis.Cmder, len(pointers))
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, pointer := range pointers {
				found[i] = p.Get(ctx, pointer)
				commands[i] = found[i]
			}
			return nil
		})
		return redisdb.FirstError(err, commands...)
	})
	if err != nil {
		return "", err
	}
	for i, to := range found {
		if to.Val() == "" {
			continue
		}
		key, ok := parseSessionID(to.Val())
		if !ok {
			return "", unavailable.Error(op, unavailable.ErrRecord)
		}
		t.pointers.add(pointers[i], key)
		return key, nil
	}
	return "", t.db.Missing(ctx, op)
}
