package storage

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

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
// fosite.AuthorizeCode, or for 15 minutes where there is none. It takes one round trip. Within a transaction it is
// written at the Commit.
//
// fosite.ErrInvalidatedAuthorizeCode: a code of that signature was used already.
func (t *Tokens) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	generation, err := t.generationOf(ctx, req.GetClient())
	if err == nil {
		err = checkLengths(req.GetID(), generation)
	}
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
	return t.writeOrWait(ctx, "store code", redisdb.Call{
		Script: codeStoreScript, Keys: t.codeKeys(key, signature), Args: []any{record.tail(), ttl},
	}, pointers...)
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
	req, err := decodeKeepingExpiry(d, c.requestID, client, into)
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
		return t.useWithTokens(ctx, signature)
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
func (t *Tokens) useWithTokens(ctx context.Context, signature string) error {
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
	return t.change(ctx, c.key, func(s *transition) error {
		if err := s.of(c.requestID); err != nil {
			return err
		}
		s.code, s.codeMark, s.step.Memory = t.codeKeys(c.key, signature), newMark(), codeMemory.Milliseconds()
		if state != nil {
			s.step.User = state.Revision
		}
		return nil
	})
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

// newMark tells one use of a code from every other.
func newMark() []byte {
	mark := make([]byte, markLength)
	_, _ = rand.Read(mark) // never fails: crypto/rand aborts the program instead
	return mark
}
