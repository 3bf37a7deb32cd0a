package storage

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// UserChange says what to change of a user: nil leaves a field as it is.
type UserChange struct {
	Password *string
	Role     *string
	Active   *bool
}

// maxName bounds names, which are stored twice.
const maxName = 1024

func checkName(name string) error {
	if len(name) > maxName || !utf8.ValidString(name) {
		return ErrName
	}
	return nil
}

// User returns one user, or fosite.ErrNotFound.
func (u *Users) User(ctx context.Context, name string) (User, error) {
	const op = "read user"
	a, err := u.account(ctx, op, name)
	if err != nil {
		return User{}, err
	}
	if a.record == nil {
		return User{}, u.db.missing(ctx, op)
	}
	r, err := decodeUser(a.record)
	if err != nil {
		return User{}, err
	}
	return r.user(a.supers), nil
}

// ListUsers returns all users, ordered by name, in two round trips for every few hundred.
func (u *Users) ListUsers(ctx context.Context) ([]User, error) {
	var list []User
	err := u.each(ctx, "list users", func(r *userRecord, supers []string) error {
		list = append(list, r.user(supers))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		if err := u.db.checkEpoch(ctx); err != nil {
			return nil, dontKnow("list users", err)
		}
	}
	return list, nil
}

// each calls f for every user, ordered by name. Names without a record, which a crash can leave behind, are passed over.
func (u *Users) each(ctx context.Context, op string, f func(r *userRecord, supers []string) error) error {
	const chunk = 500
	for from := "-"; ; {
		var names []string
		err := u.db.do(ctx, op, func(ctx context.Context) error {
			var err error
			names, err = u.db.rdb.ZRangeByLex(ctx, u.db.keys.users(), &redis.ZRangeBy{Min: from, Max: "+", Count: chunk}).Result()
			return err
		})
		if err != nil {
			return err
		}
		raws, supers, err := u.readAll(ctx, op, names)
		if err != nil {
			return err
		}
		for _, raw := range raws {
			if raw == "" {
				continue
			}
			r, err := decodeUser([]byte(raw))
			if err != nil {
				return err
			}
			if err := f(r, supers); err != nil {
				return err
			}
		}
		if len(names) < chunk {
			return nil
		}
		from = "(" + names[len(names)-1]
	}
}

// readAll reads the records of some users, empty where there is none, and the roles of super users.
func (u *Users) readAll(ctx context.Context, op string, names []string) (raws, supers []string, err error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	records := make([]*redis.StringCmd, len(names))
	var superUser *redis.StringSliceCmd
	err = u.db.do(ctx, op, func(ctx context.Context) error {
		_, err := u.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				records[i] = p.Get(ctx, u.db.keys.user(subjectTag(name)))
			}
			superUser = p.SMembers(ctx, u.db.keys.supers())
			return nil
		})
		if errors.Is(err, redis.Nil) {
			err = superUser.Err()
		}
		for _, r := range records {
			if err == nil && !errors.Is(r.Err(), redis.Nil) {
				err = r.Err()
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	raws = make([]string, len(names))
	for i, r := range records {
		raws[i] = r.Val()
	}
	return raws, superUser.Val(), nil
}

// AddUser stores a new user with the name, the role and the state given, or returns ErrExists. Tokens that another server
// issued to that name before are not honoured: they belong to somebody else.
func (u *Users) AddUser(ctx context.Context, user User, password string) error {
	return u.add(ctx, user, password, false)
}

// AddVerifiedUser is AddUser for a user whose password another server has just verified, and who holds tokens of that server: see
// ImportedTokenValid. It returns ErrDropped for one who was dropped here: that the other server still knows the user must not undo it.
func (u *Users) AddVerifiedUser(ctx context.Context, user User, password string) error {
	return u.add(ctx, user, password, true)
}

func (u *Users) add(ctx context.Context, user User, password string, adopted bool) error {
	const op = "add user"
	if err := checkName(user.Name); err != nil {
		return err
	}
	if err := u.db.checkEpoch(ctx); err != nil {
		return dontKnow(op, err)
	}
	hash, err := u.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	at := now()
	r := userRecord{
		Name: user.Name, Hash: hash, Role: user.Role, Active: user.Active, Revision: randomID(),
		NotBefore: at, Created: at, Updated: at,
	}
	if adopted {
		r.NotBefore = 0
	}
	raw, err := r.encode()
	if err != nil {
		return err
	}
	if err := u.enlist(ctx, op, user.Name); err != nil {
		return err
	}
	verdict, err := u.db.eval(ctx, op, u.addCall(user.Name, raw, adopted))
	switch {
	case err != nil:
		return err
	case verdict == int64(2):
		return ErrDropped
	case verdict != int64(1):
		return ErrExists
	}
	// Once more: a DropUser of the same name may have struck it off the list just before the record was written.
	return u.enlist(ctx, op, user.Name)
}

// enlist puts names on the list of users. It is in another slot than the records, so no script can write both: the list
// comes first, so that a crash between leaves a name without a user rather than a user whom nobody can see.
func (u *Users) enlist(ctx context.Context, op string, names ...string) error {
	members := make([]redis.Z, len(names))
	for i, name := range names {
		members[i] = redis.Z{Member: name}
	}
	return u.db.write(ctx, op, func(ctx context.Context) error {
		return u.db.rdb.ZAdd(ctx, u.db.keys.users(), members...).Err()
	})
}

// ChangeUser changes a user, or returns fosite.ErrNotFound. A new password, even one equal to the old, ends all
// sessions of that user before it returns. Those of a disabled user are suspended: none of their tokens is good until the
// user is enabled again.
func (u *Users) ChangeUser(ctx context.Context, name string, c UserChange) error {
	const op = "change user"
	var hash string
	if c.Password != nil {
		// Whether there is such a user is asked first: a hash is expensive.
		if _, err := u.raw(ctx, op, name); err != nil {
			return err
		}
		var err error
		if hash, err = u.hasher.hash(ctx, *c.Password); err != nil {
			return err
		}
	}
	revision := randomID()
	_, _, err := u.edit(ctx, op, name, func(r *userRecord) error {
		if c.Password != nil {
			r.Hash, r.Scheme, r.Revision = hash, "", revision
			r.NotBefore = now()
		}
		if c.Active != nil && *c.Active != r.Active {
			r.Active, r.Revision = *c.Active, revision
		}
		if c.Role != nil {
			r.Role = *c.Role
		}
		r.Imported, r.Updated = "", now()
		return nil
	})
	if err != nil {
		return err
	}
	if c.Password != nil {
		return u.db.endSubject(ctx, name)
	}
	return nil
}

// DropUser removes a user and all sessions of that user, or returns fosite.ErrNotFound. It disables the user first: at
// whatever point it is cut off, nobody can log in, and dropping again completes it. For a year only AddUser brings a user of
// that name back, not AddVerifiedUser and not an import.
func (u *Users) DropUser(ctx context.Context, name string) error {
	const op = "drop user"
	for range 10 {
		_, raw, err := u.edit(ctx, op, name, func(r *userRecord) error {
			r.Active, r.Revision = false, randomID()
			return nil
		})
		if errors.Is(err, fosite.ErrNotFound) {
			return errors.Join(err, u.strike(ctx, op, name))
		}
		if err != nil {
			return err
		}
		if err := u.db.endSubject(ctx, name); err != nil {
			return err
		}
		dropped, err := u.db.eval(ctx, op, u.dropCall(name, raw))
		if err != nil {
			return err
		}
		if dropped == int64(1) {
			return u.strike(ctx, op, name)
		}
	}
	return dontKnow(op, errContended)
}

// strike takes a name without a record off the list of users.
func (u *Users) strike(ctx context.Context, op, name string) error {
	return u.db.write(ctx, op, func(ctx context.Context) error {
		if err := u.db.rdb.ZRem(ctx, u.db.keys.users(), name).Err(); err != nil {
			return err
		}
		// A user of that name may have been added between.
		n, err := u.db.rdb.Exists(ctx, u.db.keys.user(subjectTag(name))).Result()
		if err != nil || n == 0 {
			return err
		}
		return u.db.rdb.ZAdd(ctx, u.db.keys.users(), redis.Z{Member: name}).Err()
	})
}
