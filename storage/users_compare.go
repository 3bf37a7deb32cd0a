package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
	"github.com/opgrant/opgrant/storage/throttle"
)

// outcome is what comparing a password with a record has shown.
type outcome struct {
	err      error // nil: it is right. fosite.ErrNotFound, ErrUserDisabled, or unavailable
	compared bool  // a right password would have succeeded: whatever the error is, this was a guess
	user     *User // of a right password, where the record is newer than the one that was given
}

// comparison is an outcome that several logins share.
type comparison struct {
	done chan struct{}
	outcome
}

// result is how the attempt is settled.
func (o outcome) result() throttle.Result {
	switch {
	case o.err == nil:
		return throttle.Succeeded
	case o.compared:
		return throttle.Failed
	}
	return throttle.Cancelled
}

// user decodes the record of an account: nil for none.
func (a *account) user() (*userRecord, error) {
	if a.record == nil {
		return nil, nil //nolint:nilnil // an unknown user is not an error
	}
	return decodeUser(string(a.record))
}

// comparedBy is what a comparison with the record depends on.
func (r *userRecord) comparedBy() string {
	return strconv.FormatBool(r.Active) + r.Scheme + "\x00" + r.Hash
}

// compare compares a password with the record of an account. A user without a record may be one of Options.Source.
func (u *Users) compare(ctx context.Context, op string, a *account, name, secret string) outcome {
	refused := false // by the source: a guess, also if the hash that hides it cannot be made
	for newer := false; ; newer = true {
		r, err := a.user()
		if err != nil {
			return outcome{err: err}
		}
		if r == nil {
			switch user, found, err := u.fromSource(ctx, name, secret); {
			case err != nil:
				return outcome{err: unavailable.Error(op, err)}
			case found && !user.Active: // the import has cost the one hash
				_, err := u.refuse(ctx, op, name, nil, secret, true)
				return outcome{err: cmp.Or(err, ErrUserDisabled), compared: true, user: &user}
			case found:
				return outcome{user: &user}
			}
			refused = u.logins != nil
		}
		stored, ok, err := u.matches(ctx, a, r, name, secret)
		switch {
		case err != nil:
			return outcome{err: err, compared: refused}
		case ok && r.Active && newer:
			user := r.user(a.superRoles)
			return outcome{user: &user}
		case ok && r.Active:
			return outcome{}
		}
		again, err := u.refuse(ctx, op, name, stored, secret, newer || a.record != nil)
		switch {
		case err != nil:
			return outcome{err: err, compared: true}
		case again != nil:
			a = again
		case ok:
			return outcome{err: ErrUserDisabled, compared: true}
		default:
			return outcome{err: fosite.ErrNotFound, compared: true}
		}
	}
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

// refuse makes a refusal cost what every other one costs: whether the user exists makes no difference to what it does. It reads the
// account again: unless it was known, one that is there now is returned instead, because the password may be the one that it was
// just added with.
func (u *Users) refuse(ctx context.Context, op, name string, stored *password.Stored, secret string, known bool) (*account, error) {
	if !u.throttle.Counts() {
		// An emptied Redis knows no user. Otherwise the script that counts the failure finds out.
		if err := u.db.CheckEpoch(ctx, op); err != nil {
			return nil, err
		}
	}
	read := u.readAccounts(name)
	var kinds *redis.StringSliceCmd
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := u.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			read.queue(ctx, p)
			kinds = p.SMembers(ctx, u.db.Keys.HashKinds())
			return nil
		})
		if err := read.err(err); err != nil {
			return err
		}
		return kinds.Err()
	})
	if err != nil {
		return nil, err
	}
	if a := read.account(0); !known && a.record != nil {
		return a, nil
	}
	present := firstKinds(kinds.Val())
	if kind := stored.Kind(); kind != "" && kind != u.hasher.OwnKind() && !slices.Contains(present, kind) && len(present) < maxHashKinds {
		// Seen for the first time, for example in a store that an older version has filled.
		if err := u.addHashKinds(ctx, op, kind); err != nil {
			return nil, err
		}
	}
	return nil, u.hasher.Refuse(ctx, stored, secret, present)
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
