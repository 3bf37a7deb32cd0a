package storage

import (
	"context"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const opReadCode = "read code"

// codeRead is what one look-up of a code reads, in one round trip.
type codeRead struct {
	*codeRecord
	key         sessionKey
	user        *account
	endedBefore int64
}

// readCode reads a code and its user, and checks that they belong together, unless the code was used.
func (t *Tokens) readCode(ctx context.Context, signature string) (*codeRead, error) {
	key, _, err := t.locate(ctx, signature)
	if err != nil {
		return nil, err
	}
	var (
		k      = t.db.Keys
		name   = k.Code(key.tag(), redisdb.Hash(signature))
		values *redis.SliceCmd
		left   *redis.DurationCmd
	)
	err = t.db.Do(ctx, opReadCode, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			values, left = p.MGet(ctx, k.User(key.tag()), k.EndedBefore(key.tag()), name), p.PTTL(ctx, name)
			return nil
		})
		return redisdb.FirstError(err, values, left)
	})
	if err != nil {
		return nil, err
	}
	raw, ok := values.Val()[2].(string)
	if !ok {
		return nil, t.db.Missing(ctx, opReadCode)
	}
	record, err := decodeCode(opReadCode, raw)
	if err != nil {
		return nil, err
	}
	r := sessionRead{user: &account{tag: key.tag()}}
	if err := r.decodeSubject(values.Val()); err != nil {
		return nil, err
	}
	c := &codeRead{codeRecord: record, key: key, user: r.user, endedBefore: r.endedBefore}
	if c.used {
		return c, nil
	}
	if left.Val() <= codeMemory {
		return nil, fosite.ErrNotFound
	}
	return c, t.checkCodeUser(ctx, c)
}

// checkCodeUser returns fosite.ErrNotFound unless the user is active and of the generation that the code was issued under.
func (t *Tokens) checkCodeUser(ctx context.Context, c *codeRead) error {
	state, err := c.user.state()
	switch {
	case err != nil:
		return err
	case state == nil && c.generation != "":
		return t.db.Missing(ctx, opReadCode) // the user was dropped, unless Redis has lost the record
	case state != nil && (!state.Active || state.Generation != c.generation), c.created <= c.endedBefore:
		return fosite.ErrNotFound
	}
	return nil
}

// clientOfCode returns the stored request of a code and its client. That of a used code may be of another generation: what the code
// was good for is to be revoked.
func (t *Tokens) clientOfCode(ctx context.Context, c *codeRead) (*document, fosite.Client, error) {
	d, err := decodeDocument(opReadCode, []byte(c.document))
	if err != nil {
		return nil, nil, err
	}
	var client fosite.Client
	if c.used {
		client, err = t.clientOfStored(ctx, d.Client)
	} else {
		client, err = t.clientOfGeneration(ctx, d.Client, rawGeneration(c.clientGeneration))
	}
	if err != nil {
		return nil, nil, err
	}
	return d, client, nil
}

// generationOf returns the generation that the client of a new session or code has now.
func (t *Tokens) generationOf(ctx context.Context, client fosite.Client) (string, error) {
	generation := t.policyOf(client).Generation
	registry, ok := t.clients.(*Clients)
	if generation != "" || !ok || client.GetID() == "" {
		return generation, nil
	}
	// The client is the caller's own, or was stored by the first build. Usually it is in the cache.
	stored, err := registry.Client(ctx, client.GetID())
	if err != nil {
		return "", ignoreMissing(err)
	}
	return stored.Generation, nil
}
