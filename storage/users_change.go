package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// UserChange is a change of a user. Fields that are nil stay as they are.
type UserChange struct {
	Password *string
	Role     *string
	Active   *bool
	// EndSessions ends all sessions of the user for good, as a new password does.
	EndSessions bool
}

// AddUser stores a new user with the name, the role and the state given, or returns ErrExists, or ErrWeak for a name or a
// password that is refused. Tokens that another server issued to that name are refused from then on: they belong to another
// person.
func (u *Users) AddUser(ctx context.Context, user User, password string) error {
	_, err := u.add(ctx, user, password, false)
	return err
}

// AddVerifiedUser is AddUser for a user whose password another server has just verified: any name and password will do. Tokens of that server stay valid: see
// ImportedTokenValid. A later import follows what has changed at that server. It returns ErrDropped for a user who was dropped here, whom the other server may still know.
func (u *Users) AddVerifiedUser(ctx context.Context, user User, password string) error {
	_, err := u.add(ctx, user, password, true)
	return err
}

// add stores a new user and returns the record.
func (u *Users) add(ctx context.Context, user User, password string, imported bool) (raw string, err error) {
	const op = "add user"
	if err := checkName(user.Name); err != nil {
		return "", err
	}
	if len(password) > MaxPassword {
		return "", ErrPasswordTooLong
	}
	if !imported {
		if err := weak(CheckNewUser(user.Name, password, u.rules)); err != nil {
			return "", err
		}
	}
	if err := u.db.CheckEpoch(ctx, op); err != nil {
		return "", err
	}
	hash, err := u.hasher.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	at := now()
	r := userRecord{
		Name: user.Name, Hash: hash, Role: user.Role, Active: user.Active, Revision: redisdb.RandomID(),
		Generation: newGeneration(), NotBefore: at, Created: at, Updated: at,
	}
	if imported {
		r.NotBefore, r.Imported, r.Follows = 0, verifiedAtSource, true
	}
	raw, err = r.encode()
	if err != nil {
		return "", err
	}
	if err := u.addToIndex(ctx, op, user.Name); err != nil {
		return "", err
	}
	forbids := markNone
	if imported {
		forbids = markAny
	}
	reply, err := u.db.Eval(ctx, op, u.addCall(user.Name, raw, forbids))
	switch {
	case err != nil:
		return "", err
	case reply == int64(2):
		return "", ErrDropped
	case reply != int64(1):
		return "", ErrExists
	}
	// Once more: a DropUser of the same name may have removed it from the index just before the record was written.
	return raw, u.addToIndex(ctx, op, user.Name)
}

// addToIndex adds names to the index of users. It is in another slot than the records, so no script can write both. The index
// is written first: a crash between the two leaves a name without a user rather than a user who is in no list.
func (u *Users) addToIndex(ctx context.Context, op string, names ...string) error {
	members := make([]any, 0, 2*len(names))
	for _, name := range names {
		members = append(members, 0, name)
	}
	_, err := u.db.Eval(ctx, op, redisdb.Command("ZADD", u.db.Keys.Users(), members...))
	return err
}

// ChangeUser changes a user, or returns fosite.ErrNotFound, or ErrWeak for a password that is refused. A new password, even one equal to the old, ends all sessions of
// the user before ChangeUser returns. Those of a disabled user are suspended: none of their tokens is valid until the user
// is enabled again.
func (u *Users) ChangeUser(ctx context.Context, name string, c UserChange) error {
	const op = "change user"
	var hash string
	if c.Password != nil {
		// First check that the user exists: a hash is expensive.
		if _, err := u.raw(ctx, op, name); err != nil {
			return err
		}
		if err := weak(checkNewPassword(name, *c.Password, u.rules)); err != nil {
			return err
		}
		var err error
		if hash, err = u.hasher.Hash(ctx, *c.Password); err != nil {
			return err
		}
	}
	end := c.Password != nil || c.EndSessions
	revision := redisdb.RandomID()
	_, _, err := u.edit(ctx, op, name, func(r *userRecord) error {
		if c.Password != nil {
			r.Hash, r.Scheme, r.Revision = hash, "", revision
		}
		if c.Active != nil && *c.Active != r.Active {
			r.Active, r.Revision = *c.Active, revision
		}
		if c.Role != nil {
			r.Role = *c.Role
		}
		if end {
			r.endSessions()
		}
		r.Imported, r.Updated = "", now()
		return nil
	})
	if err != nil {
		return err
	}
	if end {
		return endSubject(ctx, u.db, name)
	}
	return nil
}

// DropUser removes a user and all sessions of the user, or returns fosite.ErrNotFound. The user is disabled first: if it is
// interrupted, nobody can log in, and dropping again completes it. For a year only AddUser can add a user of that name
// again, not AddVerifiedUser and not an import.
func (u *Users) DropUser(ctx context.Context, name string) error {
	return u.drop(ctx, name, markHere)
}

// drop is DropUser with the mark that it leaves. With markGone it returns ErrKept for a user who was added or changed here.
func (u *Users) drop(ctx context.Context, name, mark string) error {
	const op = "drop user"
	for range 10 {
		_, raw, err := u.edit(ctx, op, name, func(r *userRecord) error {
			if mark == markGone && r.Imported == "" {
				return ErrKept
			}
			r.Active, r.Revision = false, redisdb.RandomID()
			return nil
		})
		if errors.Is(err, fosite.ErrNotFound) {
			return errors.Join(err, u.removeFromIndex(ctx, op, name))
		}
		if err != nil {
			return err
		}
		if err := endSubject(ctx, u.db, name); err != nil {
			return err
		}
		dropped, err := u.db.Eval(ctx, op, u.dropCall(name, raw, mark))
		if err != nil {
			return err
		}
		if dropped == int64(1) {
			return u.removeFromIndex(ctx, op, name)
		}
	}
	return unavailable.Error(op, errContended)
}

// removeFromIndex removes a name without a record from the index of users.
func (u *Users) removeFromIndex(ctx context.Context, op, name string) error {
	if _, err := u.db.Eval(ctx, op, redisdb.Command("ZREM", u.db.Keys.Users(), name)); err != nil {
		return err
	}
	// A user of that name may have been added meanwhile.
	_, err := u.raw(ctx, op, name)
	if err == nil {
		return u.addToIndex(ctx, op, name)
	}
	return ignoreMissing(err)
}
