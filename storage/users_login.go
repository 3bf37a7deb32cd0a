package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

var _ interface { // what fosite's password grant needs
	Authenticate(ctx context.Context, name, secret string) (subject string, err error)
} = (*Users)(nil)

// Authenticate implements fosite's ResourceOwnerPasswordCredentialsGrantStorage. It returns the subject, or
// fosite.ErrNotFound for an unknown user, a wrong password and a disabled user alike, in the same time.
func (u *Users) Authenticate(ctx context.Context, username, password string) (subject string, err error) {
	_, err = u.VerifyPassword(ctx, username, password)
	if errors.Is(err, ErrUserDisabled) {
		return "", fosite.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return username, nil
}

// VerifyPassword returns the user if the password is right. fosite.ErrNotFound: there is no such user, or the password is
// wrong. ErrUserDisabled: user and password are right, but the user may not log in. It takes one round trip, and another
// one for a login that replaces an outdated hash.
//
// All refusals cost the same: three round trips, one hash of our own, and one of every other kind that the store holds (see
// CountHashKinds). So their time does not tell which users exist, nor whether the password of a disabled one was right.
//
// A user who is not in the store is looked for at Options.Source before, which takes as long as the source does.
func (u *Users) VerifyPassword(ctx context.Context, name, password string) (User, error) {
	const op = "verify password"
	if len(password) > MaxPassword {
		return User{}, fosite.ErrNotFound
	}
	a, err := u.account(ctx, op, name)
	if err != nil {
		return User{}, err
	}
	if a.record == nil {
		switch user, found, err := u.fromSource(ctx, name, password); {
		case err != nil:
			return User{}, err
		case found && user.Active:
			return user, nil
		case found:
			return User{}, cmp.Or(u.refuse(ctx, op, nil, password), ErrUserDisabled) // the import has cost the one hash
		}
	}
	var r *userRecord
	if a.record != nil {
		if r, err = decodeUser(string(a.record)); err != nil {
			return User{}, err
		}
	}
	stored, ok, err := u.matches(ctx, a, r, name, password)
	switch {
	case err != nil:
		return User{}, err
	case ok && r.Active:
		return r.user(a.superRoles), nil
	}
	if err := u.refuse(ctx, op, stored, password); err != nil {
		return User{}, err
	}
	if ok {
		return User{}, ErrUserDisabled
	}
	return User{}, fosite.ErrNotFound
}

// matches tells whether the password is that of the record, nil for an unknown user. It also returns the stored hash, unless
// the password was cached. Only logins that succeed use the cache and replace the hash: otherwise the time of the next attempt
// would tell that the password of a disabled user was right.
func (u *Users) matches(ctx context.Context, a *account, r *userRecord, name, secret string) (*password.Stored, bool, error) {
	var stored *password.Stored
	if r != nil && r.Hash != "" {
		if r.Active && u.cache.Has(r.Hash, name, secret) {
			return nil, true, nil
		}
		var err error
		if stored, err = password.Parse(r.Scheme, r.Hash); err != nil {
			return nil, false, unavailable.Error("read user", errors.Join(unavailable.ErrRecord, err))
		}
	}
	ok, fresh, err := u.hasher.Verify(ctx, stored, secret, r != nil && r.Active)
	if err != nil || !ok || !r.Active {
		return stored, ok, err
	}
	if fresh != "" {
		u.rehash(ctx, a, r, name, fresh)
	}
	u.cache.Add(r.Hash, name, secret)
	return stored, true, nil
}

// refuse makes a refusal cost what every other one costs, and asks whether Redis has lost its data: an emptied one knows no
// user. Whether the user exists makes no difference to what it does.
func (u *Users) refuse(ctx context.Context, op string, stored *password.Stored, secret string) error {
	if err := u.db.CheckEpoch(ctx, op); err != nil {
		return err
	}
	present, err := u.hashKinds(ctx, op)
	if err != nil {
		return err
	}
	if kind := stored.Kind(); kind != "" && kind != u.hasher.OwnKind() && !slices.Contains(present, kind) && len(present) < maxHashKinds {
		// Seen for the first time, for example in a store that an older version has filled.
		if err := u.addHashKinds(ctx, op, kind); err != nil {
			return err
		}
	}
	return u.hasher.Refuse(ctx, stored, secret, present)
}

// rehash replaces the stored hash of the password that was just verified, unless the record has changed since it was read: a
// new password must not be overwritten with the old one. A login does not fail when that fails; the next one tries again.
func (u *Users) rehash(ctx context.Context, a *account, r *userRecord, name, fresh string) {
	better := *r
	better.Hash, better.Scheme = fresh, ""
	raw, err := better.encode()
	if err != nil {
		return
	}
	if done, err := u.swap(ctx, "rehash password", name, string(a.record), raw); err == nil && done {
		*r, a.record = better, []byte(raw)
	}
}

// Claims returns what tokens say about a subject: "role" and "super_user". fosite.ErrNotFound: the user does not exist or is
// disabled. It takes no round trip in a unit of work that has read the account.
func (u *Users) Claims(ctx context.Context, subject string) (map[string]any, error) {
	const op = "read claims"
	a, err := u.account(ctx, op, subject)
	if err != nil {
		return nil, err
	}
	r, err := u.decodeAccount(ctx, op, a)
	if err != nil {
		return nil, err
	}
	if !r.Active {
		return nil, fosite.ErrNotFound
	}
	user := r.user(a.superRoles)
	return map[string]any{"super_user": user.SuperUser, "role": user.Role}, nil
}
