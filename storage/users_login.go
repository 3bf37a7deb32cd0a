package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
	"github.com/opgrant/opgrant/storage/throttle"
)

var _ interface { // what fosite's password grant needs
	Authenticate(ctx context.Context, name, secret string) (subject string, err error)
} = (*Users)(nil)

// Authenticate implements fosite's ResourceOwnerPasswordCredentialsGrantStorage. It is Login without an address.
func (u *Users) Authenticate(ctx context.Context, username, password string) (subject string, err error) {
	return u.Login(ctx, username, password, "")
}

// Login returns the subject of a user name and password, or fosite.ErrNotFound for an unknown user, a wrong password and a
// disabled user alike, in the same time. Its other errors are those of VerifyPassword.
func (u *Users) Login(ctx context.Context, username, password, address string) (subject string, err error) {
	_, err = u.VerifyPassword(ctx, username, password, address)
	if errors.Is(err, ErrUserDisabled) {
		return "", fosite.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return username, nil
}

// VerifyPassword returns the user if the password is right. address is where the login comes from, for limits on failures; empty:
// it is not known. The errors are
//
//   - fosite.ErrNotFound: there is no such user, or the password is wrong.
//   - ErrUserDisabled: user and password are right, but the user may not log in.
//   - policy.TooManyAttempts: too many logins have failed (Options.Throttle); the password was not compared.
//   - fosite.ErrTemporarilyUnavailable, by errors.Is: it is not known. A wrong password is this too when its failure could not be
//     counted.
//
// It takes two round trips, and another one for a login that replaces an outdated hash. Logins with the same name, password and
// network that come while one of them is in progress share its hash and its count.
//
// All refusals cost the same: three round trips, one hash of our own, and one of every other kind that the store holds (see
// CountHashKinds). So their time does not tell which users exist, nor whether the password of a disabled one was right.
//
// A user who is not in the store is looked for at Options.Source before, which takes as long as the source does.
func (u *Users) VerifyPassword(ctx context.Context, name, password, address string) (User, error) {
	if len(password) > MaxPassword {
		return User{}, fosite.ErrNotFound
	}
	user, err := u.login(ctx, name, password, address)
	u.stats.count(err)
	return user, err
}

// login takes part in a flight, and in another one if the record has changed in the midst of it.
func (u *Users) login(ctx context.Context, name, secret, address string) (User, error) {
	const op = "verify password"
	for range 5 {
		user, again, err := u.fly(ctx, op, name, secret, address)
		if !again {
			return user, err
		}
	}
	return User{}, unavailable.Error(op, errContended)
}

// fly is one login. All with the same name, password and network that come before the first result are one flight: the first
// reserves the attempt, and the first that has a result settles it. Each reads the record by itself.
func (u *Users) fly(ctx context.Context, op, name, secret, address string) (user User, again bool, err error) {
	f, first := u.flights.join(ctx, u.flights.key.Of(name, secret, u.throttle.Network(address)))
	if f == nil {
		return User{}, false, unavailable.Error(op, errShared)
	}
	gone := context.AfterFunc(ctx, func() { u.flights.leave(f) })
	defer func() {
		if gone() {
			u.flights.leave(f)
		}
	}()

	var a *account
	if first {
		a, err = u.reserve(f, op, name, address)
	} else if err = f.wait(ctx, op, f.reserved); err == nil {
		if err = f.refused; err == nil {
			u.stats.shared.Add(1)
			a, err = u.account(ctx, op, name)
		}
	}
	if err != nil {
		return User{}, false, err
	}
	batchFrom(ctx).remember(a)
	r, err := f.compare(ctx, u, op, a, name, secret)
	if err != nil {
		return User{}, false, err
	}
	if r.user != nil { // the record is newer than what was read
		batchFrom(ctx).remember(nil)
	}
	settled, err := f.settle(ctx, u, op, r)
	switch {
	case err != nil:
		return User{}, false, err
	case settled != r.result():
		return User{}, true, nil
	case r.err != nil:
		return User{}, false, r.err
	case r.user != nil:
		return *r.user, false, nil
	}
	record, err := decodeUser(string(a.record))
	if err != nil {
		return User{}, false, err
	}
	return record.user(a.superRoles), false, nil
}

// reserve counts the attempt of a flight and reads the account, in one round trip. There is no way past it for a password that is
// in the cache of verified ones: whether a guess is let through would tell at the speed of memory whether it is right.
func (u *Users) reserve(f *flight, op, name, address string) (a *account, err error) {
	defer func() { f.decided(err) }()
	err = unavailable.Error(op, errPanicked) // unless it is replaced
	read := u.readAccounts(name)
	f.attempt, err = u.throttle.Reserve(f.ctx, name, address, func(p redis.Pipeliner) { read.queue(f.ctx, p) })
	if err != nil {
		return nil, err
	}
	if err := read.err(nil); err != nil {
		_ = u.throttle.Settle(context.WithoutCancel(f.ctx), f.attempt, throttle.Cancelled)
		return nil, unavailable.Error(op, err)
	}
	return read.account(0), nil
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
