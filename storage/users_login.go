package storage

import (
	"context"
	"errors"

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
		return User{}, u.refuseUnknown(ctx, op, password)
	}
	r, err := decodeUser(string(a.record))
	if err != nil {
		return User{}, err
	}
	if ok, err := u.matches(ctx, a, r, name, password); err != nil {
		return User{}, err
	} else if !ok {
		return User{}, fosite.ErrNotFound
	}
	if !r.Active {
		return User{}, ErrUserDisabled
	}
	return r.user(a.superRoles), nil
}

// refuseUnknown takes as long as a wrong password does. Meanwhile it asks whether Redis has lost its data.
func (u *Users) refuseUnknown(ctx context.Context, op, password string) error {
	missing := make(chan error, 1)
	go func() { missing <- guarded(op, func() error { return u.db.Missing(ctx, op) }) }()
	if _, _, err := u.hasher.Verify(ctx, nil, password); err != nil {
		return err
	}
	return <-missing
}

func (u *Users) matches(ctx context.Context, a *account, r *userRecord, name, secret string) (bool, error) {
	if r.Hash != "" && u.cache.Has(r.Hash, name, secret) {
		return true, nil
	}
	var stored *password.Stored
	if r.Hash != "" {
		var err error
		if stored, err = password.Parse(r.Scheme, r.Hash); err != nil {
			return false, unavailable.Error("read user", errors.Join(unavailable.ErrRecord, err))
		}
	}
	ok, fresh, err := u.hasher.Verify(ctx, stored, secret)
	if err != nil || !ok {
		return false, err
	}
	if fresh != "" {
		u.rehash(ctx, a, r, name, fresh)
	}
	u.cache.Add(r.Hash, name, secret)
	return true, nil
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
