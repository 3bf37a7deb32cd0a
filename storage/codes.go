package storage

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

var (
	//go:embed codes_store.lua
	codeStoreSource string
	//go:embed codes_redeem.lua
	codeRedeemSource string

	codeStoreScript  = redisdb.NewScript(codeStoreSource)
	codeRedeemScript = redisdb.NewScript(codeRedeemSource)
)

var _ oauth2.CoreStorage = (*Tokens)(nil)

// CreateAuthorizeCodeSession implements fosite's AuthorizeCodeStorage. The code is valid until the session's expiry for
// fosite.AuthorizeCode, or for 15 minutes where there is none. It takes one round trip. Within a transaction too it is written at once.
//
// fosite.ErrInvalidatedAuthorizeCode: a code of that signature was used already.
func (t *Tokens) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	const op = "store code"
	if err := checkRequestID(req.GetID()); err != nil {
		return err
	}
	generation, err := t.generationOf(ctx, req.GetClient())
	if err != nil {
		return err
	}
	document, err := encodeRequest(withoutSecrets{req})
	if err != nil {
		return err
	}
	key, ttl := keyOfNew(signature, req), (codeTTL(req) + codeMemory).Milliseconds()
	var pointers []redisdb.Call
	if _, _, native := parseSignature(signature); !native {
		pointer := t.db.Keys.SignaturePointer(nameOf(signature).raw())
		pointers = append(pointers, redisdb.Call{Script: pointerScript, Keys: []string{pointer}, Args: []any{string(key), ttl}})
	}
	record := codeRecord{clientGeneration: generation, requestID: req.GetID(), document: string(document)}
	reply, err := t.db.EvalAfter(ctx, op, pointers, redisdb.Call{
		Script: codeStoreScript, Keys: t.codeKeys(key, signature), Args: []any{record.rest(), ttl},
	})
	return t.codeResult(ctx, op, reply, err)
}

// GetAuthorizeCodeSession implements fosite's AuthorizeCodeStorage, in one round trip, and a second one for a signature that
// Signature did not make.
//
// A code that was used is returned together with fosite.ErrInvalidatedAuthorizeCode, until 15 minutes after it would have expired.
// fosite.ErrNotFound: there is no such code, or it has expired; or since it was issued its user was disabled or dropped, or the
// sessions of its user or its client were ended, as a new password does.
func (t *Tokens) GetAuthorizeCodeSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	c, err := t.readCode(ctx, signature)
	if err != nil {
		return nil, err
	}
	d, client, err := t.clientOfCode(ctx, c)
	if err != nil {
		return nil, err
	}
	req, err := decodeInto(d, c.requestID, client, into)
	if err != nil {
		return nil, unavailable.Error(opReadCode, err)
	}
	if c.used {
		return req, fosite.ErrInvalidatedAuthorizeCode
	}
	return req, nil
}

// InvalidateAuthorizeCodeSession implements fosite's AuthorizeCodeStorage: of any number of callers, one gets nil, and the others
// fosite.ErrInvalidatedAuthorizeCode. Otherwise its errors are those of GetAuthorizeCodeSession.
//
// Within a transaction, as in fosite's handler, the code is read here, and used by the same script that stores the tokens: Commit
// then returns the error of those who come too late, or whose user has changed in between, and no token is stored for them. A
// server that calls it outside of a transaction must store the tokens afterwards.
func (t *Tokens) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	const op = "use code"
	if b := batchFrom(ctx); b != nil && b.depth > 0 {
		return t.useWithTokens(ctx, b, signature)
	}
	key, _, err := t.locate(ctx, signature)
	if err != nil {
		return err
	}
	return t.redeem(ctx, op, t.codeKeys(key, signature), newMark())
}

func (t *Tokens) redeem(ctx context.Context, op string, keys []string, mark []byte) error {
	reply, err := t.db.Eval(ctx, op, redisdb.Call{
		Script: codeRedeemScript, Keys: keys, Args: []any{mark, codeMemory.Milliseconds()},
	})
	return t.codeResult(ctx, op, reply, err)
}

// useWithTokens adds the code to the transition that stores its tokens. The script compares the user's record with the one that was
// read here, so that a code is not good for a session after a password change, however late that comes.
func (t *Tokens) useWithTokens(ctx context.Context, b *batch, signature string) error {
	c, err := t.readCode(ctx, signature)
	if err != nil {
		return err
	}
	if c.used {
		return fosite.ErrInvalidatedAuthorizeCode
	}
	if _, _, err := t.clientOfCode(ctx, c); err != nil {
		return err
	}
	state, err := c.user.state()
	if err != nil {
		return err
	}
	b.remember(c.user)
	return t.change(ctx, c.key, func(s *transition) error {
		if err := s.of(c.requestID); err != nil {
			return err
		}
		s.code, s.codeMark = t.codeKeys(c.key, signature)[0], newMark()
		if state != nil {
			s.step.User = state.Revision
		}
		return nil
	})
}

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
		roles  *redis.StringSliceCmd
	)
	err = t.db.Do(ctx, opReadCode, func(ctx context.Context) error {
		commands := make([]redis.Cmder, 0, 3)
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			values, left = p.MGet(ctx, k.User(key.tag()), k.EndedBefore(key.tag()), name), p.PTTL(ctx, name)
			commands = append(commands, values, left)
			if batchFrom(ctx) != nil {
				roles = p.SMembers(ctx, k.SuperRoles())
				commands = append(commands, roles)
			}
			return nil
		})
		return redisdb.FirstError(err, commands...)
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
	if err := r.decodeUser(values.Val()); err != nil {
		return nil, err
	}
	if roles != nil {
		r.user.superRoles = roles.Val()
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

// codeKeys are the keys of the two scripts.
func (t *Tokens) codeKeys(key sessionKey, signature string) []string {
	k, tag := t.db.Keys, key.tag()
	return []string{k.Code(tag, redisdb.Hash(signature)), k.User(tag), k.EndedBefore(tag)}
}

// codeResult makes an error of the reply of one of the two scripts.
func (t *Tokens) codeResult(ctx context.Context, op string, reply any, err error) error {
	if err != nil {
		return err
	}
	switch reply {
	case resultOK:
		return nil
	case resultCode:
		return fosite.ErrInvalidatedAuthorizeCode
	case resultNone:
		return t.db.Missing(ctx, op)
	case resultBad:
		return unavailable.Error(op, unavailable.ErrRecord)
	}
	return unavailable.Error(op, fmt.Errorf("unknown result %q of a script", reply))
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

// newMark tells one use of a code from every other.
func newMark() []byte {
	mark := make([]byte, markLength)
	_, _ = rand.Read(mark) // never fails: crypto/rand aborts the program instead
	return mark
}
