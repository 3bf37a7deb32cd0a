package storage

import (
	"context"
	"time"

	"github.com/ory/fosite/handler/verifiable"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

var _ verifiable.NonceManager = (*Tokens)(nil)

// defaultNonceTTL is fosite's own default.
const defaultNonceTTL = time.Hour

// NewNonce implements fosite's NonceManager: a nonce of 128 random bits that is valid with the access token alone, until it expires,
// or for an hour where no time is given. It takes one round trip.
func (t *Tokens) NewNonce(ctx context.Context, accessToken string, expiresAt time.Time) (string, error) {
	nonce, ttl := redisdb.RandomID(), defaultNonceTTL
	if !expiresAt.IsZero() {
		ttl = min(time.Until(expiresAt), maxTTL)
	}
	if ttl < time.Millisecond {
		return nonce, nil // it has expired
	}
	set := redisdb.Command("SET", t.db.Keys.Nonce(accessToken, nonce), "1", "PX", ttl.Milliseconds())
	if _, err := t.db.Eval(ctx, "store nonce", set); err != nil {
		return "", err
	}
	return nonce, nil
}

// IsNonceValid implements fosite's NonceManager, in one round trip. fosite.ErrNotFound: the nonce has expired, belongs to another
// access token, or was never issued. A nonce may be used more than once until it expires.
func (t *Tokens) IsNonceValid(ctx context.Context, accessToken, nonce string) error {
	const op = "look up nonce"
	var found int64
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		found, err = t.db.Client.Exists(ctx, t.db.Keys.Nonce(accessToken, nonce)).Result()
		return err
	})
	if err == nil && found == 0 {
		err = t.db.Missing(ctx, op)
	}
	return err
}
