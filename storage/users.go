package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/throttle"
)

// Users keeps accounts, their passwords and their roles. It is safe for concurrent use.
//
// Names are compared byte by byte, without regard to case rules or Unicode forms: "admin", "Admin" and "ａｄｍｉｎ" are three
// names. The servers that accounts are imported from do the same, so two of them may differ in nothing else. The name is the
// subject of the user's tokens. A name that is added here must be in the one form that RFC 8265 gives it, so that no new user
// can be mistaken for another: AddUser refuses "ａｄｍｉｎ". Case is kept and still tells names apart.
//
// Passwords are normalised (NFKC) before they are hashed with argon2id. See policy.PasswordCosts, and policy.PasswordRules for
// those that are refused.
type Users struct {
	db       *redisdb.DB
	hasher   *password.Hasher
	cache    *password.Cache
	rules    policy.PasswordRules
	throttle *throttle.Throttle
	flights  *flights
	stats    loginStats
	logins   *sourceQueue // of users who are not in the store; nil without a Source
}

func newUsers(db *redisdb.DB, o Options) (*Users, error) {
	hasher, err := password.New(o.Password)
	if err != nil {
		return nil, err
	}
	if o.Hashes != nil {
		hasher.Gate = o.Hashes
	}
	if err := o.PasswordRules.Problems().Err(); err != nil {
		return nil, fmt.Errorf("storage: password rules: %w", err)
	}
	u := &Users{
		db: db, hasher: hasher, cache: password.NewCache(o.CredentialCache), rules: o.PasswordRules,
		throttle: throttle.New(db, o.Throttle), flights: newFlights(),
	}
	if o.Source != nil {
		u.logins = newSourceQueue(func(ctx context.Context, name, password string, answered func()) sourceResult {
			return u.importLogin(ctx, o.Source, name, password, answered)
		})
	}
	return u, nil
}

// Throttle returns what limits failed logins, for lists of what it counts and for the limit on wrong client secrets. Logins pass
// through it by themselves.
func (u *Users) Throttle() *throttle.Throttle { return u.throttle }

// PasswordRuns counts the password hashes computed so far, for metrics: they are what a login costs.
func (u *Users) PasswordRuns() int64 { return u.hasher.Runs() }

// User describes a user. The password can be set and verified, but not read.
type User struct {
	Name string
	// Role is the ID of a role, which may not exist.
	Role   string
	Active bool
	// SuperUser tells whether the role makes a super user at this moment. AddUser and imports ignore it.
	SuperUser bool
	// Scheme is how the password is stored: "argon2id" for those that were set here, another one for imported passwords until
	// the first login. In an import it is what the source calls the form; empty, the form is recognised.
	Scheme           string
	Created, Updated time.Time
}

// MaxPassword is the longest password in bytes. A login with a longer one is refused without hashing it.
const MaxPassword = password.Max // 65536

// The schemes of imported passwords, by the names of HarperDB's hash_function.
const (
	SchemeMD5      = password.SchemeMD5      // "md5"; HarperDB's default
	SchemeSHA256   = password.SchemeSHA256   // "sha256"
	SchemeArgon2id = password.SchemeArgon2id // "argon2id"; also User.Scheme of passwords that were set here
)

// Errors of Users.
var (
	// ErrUserDisabled is returned for the right password of a disabled user.
	ErrUserDisabled = errors.New("storage: user is disabled")
	// ErrExists is returned when a user or a role is added that exists.
	ErrExists = errors.New("storage: already exists")
	// ErrDropped is returned by AddVerifiedUser for a user who was dropped here.
	ErrDropped = errors.New("storage: user was dropped")
	// ErrKept is returned when an import would remove what was added or changed here.
	ErrKept = errors.New("storage: was added or changed here")
	// ErrInUse is returned when a role is dropped that an active user has.
	ErrInUse = errors.New("storage: in use")
	// ErrName is returned for the name of a user or a role that is not valid UTF-8 or is longer than 1024 bytes.
	ErrName = errors.New("storage: name is not valid UTF-8 of up to 1024 bytes")
	// ErrWeak is returned for a new password or the name of a new user that policy.PasswordRules or RFC 8265 refuse. The error
	// wraps a policy.Problem that says why.
	ErrWeak = errors.New("storage: refused")
	// ErrPasswordTooLong is returned for a new password of more than MaxPassword bytes.
	ErrPasswordTooLong = password.ErrTooLong
	// ErrHash is returned for an imported hash that is unreadable, of an unknown kind, or so expensive that it would stop the
	// server. The error does not contain the hash.
	ErrHash = password.ErrHash
)

func checkName(name string) error {
	const longest = 1024 // names are stored twice
	if len(name) > longest || !utf8.ValidString(name) {
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
	r, err := u.decodeAccount(ctx, op, a)
	if err != nil {
		return User{}, err
	}
	return r.user(a.superRoles), nil
}

// decodeAccount returns the user record of an account, or fosite.ErrNotFound.
func (u *Users) decodeAccount(ctx context.Context, op string, a *account) (*userRecord, error) {
	if a.record == nil {
		return nil, u.db.Missing(ctx, op)
	}
	return decodeUser(string(a.record))
}

// ListUsers returns all users, ordered by name. It takes two round trips for every 500.
func (u *Users) ListUsers(ctx context.Context) ([]User, error) {
	const op = "list users"
	var list []User
	err := u.each(ctx, op, func(r *userRecord, superRoles []string) error {
		list = append(list, r.user(superRoles))
		return nil
	})
	if err == nil && len(list) == 0 {
		err = u.db.CheckEpoch(ctx, op)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// each calls f for every user, ordered by name. Names without a record, which a crash can leave behind, are skipped.
func (u *Users) each(ctx context.Context, op string, f func(r *userRecord, superRoles []string) error) error {
	const chunk = 500
	for from := "-"; ; {
		var names []string
		err := u.db.Do(ctx, op, func(ctx context.Context) error {
			var err error
			names, err = u.db.Client.ZRangeByLex(ctx, u.db.Keys.Users(), &redis.ZRangeBy{Min: from, Max: "+", Count: chunk}).Result()
			return err
		})
		if err != nil {
			return err
		}
		accounts, err := u.accounts(ctx, op, names)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			if a.record == nil {
				continue
			}
			r, err := decodeUser(string(a.record))
			if err != nil {
				return err
			}
			if err := f(r, a.superRoles); err != nil {
				return err
			}
		}
		if len(names) < chunk {
			return nil
		}
		from = "(" + names[len(names)-1]
	}
}
