package storage

import (
	"context"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

var (
	_ pkce.PKCERequestStorage            = (*Tokens)(nil)
	_ openid.OpenIDConnectRequestStorage = (*Tokens)(nil)
)

// CreatePKCERequestSession implements fosite's PKCERequestStorage, in one round trip. The request expires with its code: see
// CreateAuthorizeCodeSession.
func (t *Tokens) CreatePKCERequestSession(ctx context.Context, signature string, req fosite.Requester) error {
	document, err := encodeRequest(withoutSecrets{req})
	if err != nil {
		return err
	}
	ttl := codeTTL(req) + codeMemory // for the code may expire a moment later: see GetPKCERequestSession
	return t.putRequest(ctx, "store PKCE request", t.db.Keys.Challenge(signature), ttl, req.GetID(), string(document))
}

// GetPKCERequestSession implements fosite's PKCERequestStorage, in one round trip.
//
// A request that was deleted, or has expired, is found while the code of that signature can be redeemed, which costs one or two round
// trips more: fosite deletes it before it compares the verifier. Otherwise a wrong verifier would be the way to redeem a code
// without one, and a client that was told to ask again after an outage would be refused.
func (t *Tokens) GetPKCERequestSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	const op = "read PKCE request"
	r, left, err := t.readRequest(ctx, op, t.db.Keys.Challenge(signature))
	if err != nil {
		return nil, err
	}
	if r.deleted || left <= codeMemory {
		c, err := t.readCode(ctx, signature)
		if err != nil {
			return nil, err
		}
		if c.used {
			return nil, fosite.ErrNotFound
		}
	}
	req, err := t.request(ctx, op, r, into)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// DeletePKCERequestSession implements fosite's PKCERequestStorage, in one round trip. See GetPKCERequestSession for what remains. A
// request that is not there is not an error.
func (t *Tokens) DeletePKCERequestSession(ctx context.Context, signature string) error {
	return t.writeOrWait(ctx, "delete PKCE request", redisdb.Call{
		Script: deleteRequestScript, Keys: []string{t.db.Keys.Challenge(signature)},
	})
}

// deleteRequestScript marks a request as deleted. It expires when it would have.
//
//	KEYS  1 request
//	ARGV  none
//	reply 1
//	twice marks it again
var deleteRequestScript = redisdb.NewScript(`
local found = redis.call('GET', KEYS[1])
if found then redis.call('SET', KEYS[1], string.sub(found, 1, 1) .. 'd' .. string.sub(found, 3), 'KEEPTTL') end
return 1`)

// CreateOpenIDConnectSession implements fosite's OpenIDConnectRequestStorage, in one round trip. The request expires with its code:
// see CreateAuthorizeCodeSession. fosite names it by the whole code, of which a hash alone is stored.
func (t *Tokens) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	document, err := encodeRequest(withoutSecrets{req})
	if err != nil {
		return err
	}
	return t.putRequest(ctx, "store OpenID request", t.db.Keys.OpenID(code), codeTTL(req), req.GetID(), string(document))
}

// GetOpenIDConnectSession implements fosite's OpenIDConnectRequestStorage, in one round trip. The session of the result is a new one
// of the type of the requester's, or nil if that has none. fosite.ErrNotFound, which is openid.ErrNoSessionFound: there is none.
func (t *Tokens) GetOpenIDConnectSession(ctx context.Context, code string, requester fosite.Requester) (fosite.Requester, error) {
	const op = "read OpenID request"
	r, _, err := t.readRequest(ctx, op, t.db.Keys.OpenID(code))
	if err != nil {
		return nil, err
	}
	var into fosite.Session
	if requester != nil && requester.GetSession() != nil {
		into = requester.GetSession().Clone()
	}
	req, err := t.request(ctx, op, r, into)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// DeleteOpenIDConnectSession implements fosite's OpenIDConnectRequestStorage, in one round trip. A request that is not there is not
// an error. Within a transaction it is deleted at the Commit: one that fails leaves the code for a second attempt, which needs the
// request.
func (t *Tokens) DeleteOpenIDConnectSession(ctx context.Context, code string) error {
	return t.writeOrWait(ctx, "delete OpenID request", redisdb.Command("DEL", t.db.Keys.OpenID(code)))
}
