package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// subjectOfCode returns a subject of its own for a session, since revoke-all must not end another. Half of them are users of the
// store, whose record holds what ends a code; a mark does for the others.
func (e *engine) subjectOfCode() (string, error) {
	subject := fmt.Sprint("owner", rand.Uint64())
	if rand.IntN(2) == 0 {
		return subject, nil
	}
	err := e.users.AddUser(context.Background(), storage.User{Name: subject, Active: true}, "one")
	if errors.Is(err, storage.ErrExists) {
		err = nil // it was sent again
	}
	return subject, err
}

// codeSignature is of the store's own form, or in one case of three of another form, which needs a pointer in Redis.
func codeSignature(id string) string {
	if rand.IntN(3) == 0 {
		return "signature " + id
	}
	return storage.Signature(id, "code")
}

// anyOfCode does one operation on the code of a session, or none once there are tokens to use.
func (e *engine) anyOfCode(f *session) bool {
	redeem, read, all, one := 50, 80, 85, 90 // the rest looks the code up as well
	opened := f.opened()
	if opened {
		redeem, read, all, one = 10, 20, 23, 23
	}
	switch dice := rand.IntN(100); {
	case dice < redeem:
		e.redeem(f)
	case dice < read:
		e.do(f, call{kind: opReadCode})
	case dice < all:
		e.do(f, call{kind: opRevokeAll})
	case dice < one:
		e.do(f, call{kind: opRevoke})
	case opened:
		return false
	default:
		e.do(f, call{kind: opReadCode})
	}
	return true
}

// redeem also looks for a token of one that was refused, which must not be there, and of one in doubt. An access token that is
// self-contained is not stored, so that the store does not know which were issued.
func (e *engine) redeem(f *session) {
	c := call{kind: opRedeem, next: f.fresh(), access: f.fresh()}
	r := e.do(f, c)
	if r.outcome != accepted && !f.req.Session.(*compact).selfContained {
		r = e.do(f, call{kind: opReadAccess, access: c.access})
	}
	if r.outcome == accepted {
		f.learn(c.next, c.access)
	}
}

// redeemAsFosite makes the calls of fosite's handler for a code.
func redeemAsFosite(ctx context.Context, s tokenStore, code, access, refresh string, req fosite.Requester) error {
	if _, err := s.GetAuthorizeCodeSession(ctx, code, &compact{}); err != nil {
		return err
	}
	ctx, err := s.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err = s.InvalidateAuthorizeCodeSession(ctx, code); err == nil {
		err = s.CreateAccessTokenSession(ctx, access, req)
	}
	if err == nil {
		err = s.CreateRefreshTokenSession(ctx, refresh, access, req)
	}
	if err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	return s.Commit(ctx)
}

// codes counts the sessions that begin with a code, the redemptions that were answered with tokens, and those in doubt.
func (e *engine) codes() (sessions, redeemed, inDoubt int) {
	for _, f := range e.sessions {
		if f.code == "" {
			continue
		}
		sessions++
		for _, op := range f.history {
			if op.Input.(call).kind != opRedeem {
				continue
			}
			switch op.Output.(result).outcome {
			case accepted:
				redeemed++
			case unknown:
				inDoubt++
			}
		}
	}
	return sessions, redeemed, inDoubt
}

// cheapPasswords are for users who never log in.
var cheapPasswords = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}
