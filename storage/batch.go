package storage

import (
	"context"
	"errors"

	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// batch is one unit of work in a context: what was read for it, and the writes that Commit sends as one transition.
// It belongs to one request and is not safe for concurrent use, like the request.
type batch struct {
	depth   int
	pending *transition
	waiting []waitingCall // writes of codes and requests, which Commit sends behind the transition
	account *account      // read once, with the session or by the login; the script that commits checks that it has not changed
}

type batchKey struct{}

func batchFrom(ctx context.Context) *batch {
	b, _ := ctx.Value(batchKey{}).(*batch)
	return b
}

// remember keeps an account for the rest of the unit of work, if there is one. Nil forgets what was read.
func (b *batch) remember(a *account) {
	if b != nil {
		b.account = a
	}
}

// known returns the account of a subject if this unit of work has read it.
func (b *batch) known(subject string) *account {
	if b == nil || b.account == nil || b.account.tag != redisdb.SubjectTag(subject) {
		return nil
	}
	return b.account
}

var errNoTransaction = errors.New("storage: commit or rollback without a transaction")

var _ fositestorage.Transactional = (*Tokens)(nil)

// BeginTX implements fosite's Transactional: writes in the returned context wait for Commit, which sends them as one script.
// A BeginTX inside another joins it: the outer Commit sends all. Reads see what is in Redis, not the writes that wait. One
// transaction can change one session.
func (t *Tokens) BeginTX(ctx context.Context) (context.Context, error) {
	if b := batchFrom(ctx); b != nil {
		b.depth++
		return ctx, nil
	}
	return context.WithValue(ctx, batchKey{}, &batch{depth: 1}), nil
}

// Commit sends the writes of the transaction as one atomic step, and ends it. New codes, and requests of PKCE and OpenID Connect that
// are stored or deleted in it, follow, each by itself. On an error nothing has been written, unless the store was unavailable: then
// it is not known, and a transaction with the same writes may be committed again either way.
func (t *Tokens) Commit(ctx context.Context) error {
	b := batchFrom(ctx)
	if b == nil || b.depth == 0 {
		return errNoTransaction
	}
	if b.depth--; b.depth > 0 {
		return nil
	}
	pending, waiting := b.pending, b.waiting
	b.pending, b.waiting = nil, nil
	if pending != nil {
		answer, err := t.commit(ctx, pending)
		if err := replayed(answer, err); err != nil {
			return err
		}
	}
	return t.commitWaiting(ctx, waiting)
}

// Rollback drops the writes of the transaction. Inside another transaction it drops those of the outer one too.
func (t *Tokens) Rollback(ctx context.Context) error {
	b := batchFrom(ctx)
	if b == nil {
		return errNoTransaction
	}
	b.pending, b.waiting = nil, nil
	if b.depth > 0 {
		b.depth--
	}
	return nil
}
