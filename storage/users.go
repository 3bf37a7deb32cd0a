package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// Users keeps accounts and their passwords. It is safe for concurrent use.
//
// Names are compared byte by byte, with their case and in whatever Unicode form they came, as the servers do that accounts
// are imported from: "admin", "Admin" and "ａｄｍｉｎ" are three names. The name is the subject of the user's tokens.
//
// Passwords are normalised (NFKC) before they are hashed. See policy.PasswordCosts for how.
type Users struct {
	db     *db
	hasher *hasher
	cache  *credentialCache
}

var _ interface { // what fosite's password grant asks of a directory
	Authenticate(ctx context.Context, name, secret string) (subject string, err error)
} = (*Users)(nil)

func newUsers(d *db) *Users {
	return &Users{db: d, hasher: newHasher(d.options.Password), cache: newCredentialCache(d.options.CredentialCache)}
}

// NewUsers returns the accounts alone.
func NewUsers(rdb redis.UniversalClient, options Options) (*Users, error) {
	d, err := newDB(rdb, options)
	if err != nil {
		return nil, err
	}
	return newUsers(d), nil
}

// User is what may be known about a user. The password is set and verified, and never read back.
type User struct {
	Name string
	// Role is the ID of a role. The role may have gone.
	Role   string
	Active bool
	// SuperUser tells whether the role makes a super user, as roles stand now. It is an answer only: AddUser and the imports
	// don't read it.
	SuperUser bool
	// Scheme is how the password is stored: "argon2id" for those set here, the imported form until the first login. For
	// imports it is what the source calls the form; empty, the form is recognised.
	Scheme           string
	Created, Updated time.Time
}

var (
	// ErrUserDisabled is the answer to the right password of a disabled user.
	ErrUserDisabled = errors.New("storage: user is disabled")
	// ErrExists is the answer to adding a user or a role that is there already.
	ErrExists = errors.New("storage: already exists")
	// ErrDropped is the answer to adopting a user who was dropped here.
	ErrDropped = errors.New("storage: user was dropped")
	// ErrInUse is the answer to dropping a role that an active user has.
	ErrInUse = errors.New("storage: in use")
	// ErrName is the answer to adding a user or a role whose name is no valid UTF-8 or longer than 1024 bytes.
	ErrName = errors.New("storage: name is not valid UTF-8 of up to 1024 bytes")
)

// Authenticate implements fosite's ResourceOwnerPasswordCredentialsGrantStorage: the subject, or fosite.ErrNotFound for an
// unknown user, a wrong password and a disabled user alike, in the same time.
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

// VerifyPassword returns the user whose password this is. fosite.ErrNotFound: there is no such user, or the password is
// another one. ErrUserDisabled: user and password are right, but the user may not log in. It takes one round trip, and one
// more for the login that replaces an outdated hash.
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
	r, err := decodeUser(a.record)
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
	return r.user(a.supers), nil
}

// refuseUnknown takes as long as a wrong password does. Whether Redis has lost its data is asked in that time.
func (u *Users) refuseUnknown(ctx context.Context, op, password string) error {
	verdict := make(chan error, 1)
	go func() { verdict <- u.db.missing(ctx, op) }()
	if _, _, err := u.hasher.verify(ctx, nil, password); err != nil {
		return err
	}
	return <-verdict
}

func (u *Users) matches(ctx context.Context, a *account, r *userRecord, name, password string) (bool, error) {
	if r.Hash != "" && u.cache.has(r.Hash, name, password) {
		return true, nil
	}
	var stored *storedHash
	if r.Hash != "" {
		var err error
		if stored, err = parseStored(r.Scheme, r.Hash); err != nil {
			return false, dontKnow("read user", errors.Join(errRecord, err))
		}
	}
	ok, fresh, err := u.hasher.verify(ctx, stored, password)
	if err != nil || !ok {
		return false, err
	}
	if fresh != "" {
		u.rehash(ctx, a, r, name, fresh)
	}
	u.cache.add(r.Hash, name, password)
	return true, nil
}

// rehash replaces the stored form of the password that was just verified, unless the record has changed since it was read:
// a new password must not be overwritten with the old one. It is no reason to refuse a login when that fails; the next one
// tries again.
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

// Claims returns what tokens say about a subject: "role", where there is one, and "super_user". fosite.ErrNotFound: the
// user has gone or is disabled. Within a unit of work that has read the account it costs no round trip.
func (u *Users) Claims(ctx context.Context, subject string) (map[string]any, error) {
	const op = "read claims"
	a, err := u.account(ctx, op, subject)
	if err != nil {
		return nil, err
	}
	if a.record == nil {
		return nil, u.db.missing(ctx, op)
	}
	r, err := decodeUser(a.record)
	if err != nil {
		return nil, err
	}
	if !r.Active {
		return nil, fosite.ErrNotFound
	}
	user := r.user(a.supers)
	return map[string]any{"super_user": user.SuperUser, "role": user.Role}, nil
}

// account returns what is stored about a subject and the roles of super users, from the unit of work in the context where
// it knows them, else from Redis in one round trip. Without such a user its record is nil, which is no verdict yet.
func (u *Users) account(ctx context.Context, op, name string) (*account, error) {
	if a := batchFrom(ctx).known(name); a != nil {
		return a, nil
	}
	read := u.readAccount(name)
	err := u.db.do(ctx, op, func(ctx context.Context) error {
		_, err := u.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			read.queue(ctx, p)
			return nil
		})
		return read.err(err)
	})
	if err != nil {
		return nil, err
	}
	a := read.account()
	batchFrom(ctx).remember(a)
	return a, nil
}

// accountRead is the reading of an account, to be queued into whatever goes to Redis anyway.
type accountRead struct {
	tag       string
	keys      keys
	user      *redis.StringCmd
	superUser *redis.StringSliceCmd
}

func (u *Users) readAccount(name string) *accountRead {
	return &accountRead{tag: subjectTag(name), keys: u.db.keys}
}

func (r *accountRead) queue(ctx context.Context, p redis.Pipeliner) {
	r.user = p.Get(ctx, r.keys.user(r.tag))
	r.superUser = p.SMembers(ctx, r.keys.supers())
}

// err judges the outcome: that there is no such user is none.
func (r *accountRead) err(pipeline error) error {
	for _, err := range []error{r.user.Err(), r.superUser.Err()} {
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	if errors.Is(pipeline, redis.Nil) {
		return nil
	}
	return pipeline
}

func (r *accountRead) account() *account {
	a := &account{tag: r.tag, supers: r.superUser.Val()}
	if r.user.Err() == nil {
		a.record = []byte(r.user.Val())
	}
	return a
}

// PasswordRuns counts the password hashes computed so far, for metrics: it is what logins cost.
func (u *Users) PasswordRuns() int64 { return u.hasher.runs.Load() }
