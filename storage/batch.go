package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	fositestorage "github.com/ory/fosite/storage"
)

// batch is one unit of work in a context: what was read for it, and the writes that Commit sends as one transition.
// It belongs to one request and is not safe for concurrent use, like the request.
type batch struct {
	depth   int
	pending *transition
	account *account
}

// account is what Redis held about a subject when this unit of work first looked: read once, in the round trip that
// reads the session anyway, and checked again by the script that commits.
type account struct {
	tag    string
	record []byte   // the user record, nil where there is none
	supers []string // the roles that make a super user
}

type batchKey struct{}

func batchFrom(ctx context.Context) *batch {
	b, _ := ctx.Value(batchKey{}).(*batch)
	return b
}

// remember keeps an account for the rest of the unit of work.
func (b *batch) remember(a *account) {
	if b != nil {
		b.account = a
	}
}

// known returns the account of a subject if this unit of work has read it.
func (b *batch) known(subject string) *account {
	if b == nil || b.account == nil || b.account.tag != subjectTag(subject) {
		return nil
	}
	return b.account
}

var errNoTransaction = errors.New("storage: commit or rollback without a transaction")

var _ fositestorage.Transactional = (*Tokens)(nil)

// BeginTX implements fosite's Transactional: writes in the returned context are kept back until Commit, which sends them
// as one script. A BeginTX inside another joins it: the outer Commit sends all. Reads see Redis, not the writes kept back.
func (t *Tokens) BeginTX(ctx context.Context) (context.Context, error) {
	if b := batchFrom(ctx); b != nil {
		b.depth++
		return ctx, nil
	}
	return context.WithValue(ctx, batchKey{}, &batch{depth: 1}), nil
}

// Commit sends the writes of the transaction as one atomic transition, and ends it. On an error nothing of it has happened,
// or it is a don't-know: then a transaction with the same writes may be begun again, whether this one ran or not.
func (t *Tokens) Commit(ctx context.Context) error {
	b := batchFrom(ctx)
	if b == nil || b.depth == 0 {
		return errNoTransaction
	}
	if b.depth--; b.depth > 0 || b.pending == nil {
		return nil
	}
	pending := b.pending
	b.pending = nil
	answer, err := t.commit(ctx, pending)
	if err == nil && answer != nil {
		// Somebody refreshed by RefreshSession a moment ago; the answer of then is not what this caller is about to give.
		return fosite.ErrSerializationFailure
	}
	return err
}

// Rollback forgets the writes of the transaction. One inside another forgets those of the outer one too.
func (t *Tokens) Rollback(ctx context.Context) error {
	b := batchFrom(ctx)
	if b == nil {
		return errNoTransaction
	}
	b.pending = nil
	if b.depth > 0 {
		b.depth--
	}
	return nil
}
