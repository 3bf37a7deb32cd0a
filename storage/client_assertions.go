package storage

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// ClientAssertionJWTValid implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before. Of two
// requests with one assertion both may pass here, and one is refused by SetClientAssertionJWT.
func (c *Clients) ClientAssertionJWTValid(ctx context.Context, jti string) (err error) {
	defer unavailable.Note(ctx, &err)
	return assertionUsed(ctx, c.db, jti)
}

// SetClientAssertionJWT implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before (RFC 7523
// section 3). One that has expired is not remembered: whether it is still accepted is for the caller to check.
func (c *Clients) SetClientAssertionJWT(ctx context.Context, jti string, expires time.Time) error {
	return markAssertion(ctx, c.db, jti, expires)
}

// assertionUsed returns fosite.ErrJTIKnown when an assertion was used before.
func assertionUsed(ctx context.Context, db *redisdb.DB, jti string) error {
	var used int64
	err := db.Do(ctx, "look up assertion", func(ctx context.Context) error {
		var err error
		used, err = db.Client.Exists(ctx, db.Keys.Assertion(jti)).Result()
		return err
	})
	if err == nil && used == 1 {
		return fosite.ErrJTIKnown
	}
	return err
}

// markAssertion notes that an assertion was used, for the first caller.
func markAssertion(ctx context.Context, db *redisdb.DB, jti string, expires time.Time) error {
	ttl := time.Until(expires)
	if ttl < time.Millisecond {
		return assertionUsed(ctx, db, jti)
	}
	claim := redisdb.Call{
		Script: claimScript, Keys: []string{db.Keys.Assertion(jti)}, Args: []any{redisdb.RandomID(), min(ttl, maxTTL).Milliseconds()},
	}
	reply, err := db.Eval(ctx, "mark assertion", claim)
	if err != nil {
		return err
	}
	if reply == int64(0) {
		return fosite.ErrJTIKnown
	}
	return nil
}

// claimScript sets a key for the first caller.
//
//	KEYS  1 the key
//	ARGV  1 a random value of the caller's   2 TTL in ms
//	reply 1; 0: another caller was first
//	twice finds its own value, and replies 1
var claimScript = redisdb.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`)
