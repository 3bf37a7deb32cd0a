package storage

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// ClientAssertionJWTValid implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before. Of two
// requests with one assertion both may pass here, and one is refused by SetClientAssertionJWT.
func (c *Clients) ClientAssertionJWTValid(ctx context.Context, jti string) error {
	var used int64
	err := c.db.Do(ctx, "look up assertion", func(ctx context.Context) error {
		var err error
		used, err = c.db.Client.Exists(ctx, c.db.Keys.Assertion(jti)).Result()
		return err
	})
	if err == nil && used == 1 {
		return fosite.ErrJTIKnown
	}
	return err
}

// SetClientAssertionJWT implements fosite.ClientManager: fosite.ErrJTIKnown when the assertion was used before (RFC 7523
// section 3), and when it has expired.
func (c *Clients) SetClientAssertionJWT(ctx context.Context, jti string, expires time.Time) error {
	ttl := time.Until(expires)
	if ttl <= 0 {
		return fosite.ErrJTIKnown
	}
	claim := redisdb.Call{
		Script: claimScript, Keys: []string{c.db.Keys.Assertion(jti)}, Args: []any{redisdb.RandomID(), max(ttl.Milliseconds(), 1)},
	}
	reply, err := c.db.Eval(ctx, "mark assertion", claim)
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
