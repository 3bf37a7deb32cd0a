package compat

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// The errors that the interfaces below return. Implementations may wrap them; they are compared with [errors.Is].
//
// Every other error means that the implementation is unavailable, for example because its store does not answer. It becomes 503
// with Retry-After and never a refusal: clients discard their tokens on a 401.
var (
	// ErrInvalid: the password is wrong, the user is unknown, or the token is foreign, altered or revoked.
	ErrInvalid = errors.New("compat: not valid")
	// ErrExpired: the token has a valid signature and has expired. This is checked before anything else, so a token that is
	// also revoked, or whose user was dropped, is expired.
	ErrExpired = errors.New("compat: expired")
	// ErrInactive: the password is right and the user is disabled. Only [Authenticator.Password] returns it; a token of a
	// disabled user is ErrInvalid.
	ErrInactive = errors.New("compat: user is inactive")
	// ErrNotFound: there is no such user or role.
	ErrNotFound = errors.New("compat: not found")
	// ErrExists: there is such a user or role already.
	ErrExists = errors.New("compat: already exists")
	// ErrInUse: an active user has the role.
	ErrInUse = errors.New("compat: in use")
	// ErrRefused: the store does not take the name, password or permission, for example because it is too long. A
	// [RefusedError] says why.
	ErrRefused = errors.New("compat: refused by the store")
	// ErrThrottled: this user or this address has failed too often. It becomes 429 with Retry-After; a [RetryError] around it
	// says after how long.
	ErrThrottled = errors.New("compat: throttled")
)

// RefusedError is ErrRefused with a reason that callers may see.
type RefusedError struct {
	Member string // username or password
	Reason string // goes on after the name of the member: "is shorter than 8 characters"
}

func (e *RefusedError) Error() string { return "compat: " + e.Member + " " + e.Reason }

func (e *RefusedError) Unwrap() error { return ErrRefused }

// RetryError adds the time after which a retry makes sense to ErrThrottled, or to an error that means unavailable.
type RetryError struct {
	Err   error
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }

func (e *RetryError) Unwrap() error { return e.Err }

// Caller is the user who sends a request.
type Caller struct {
	Name string
	// Role is the id of the user's role. It is empty if the user has none or if the role no longer exists.
	Role      string
	SuperUser bool
}

// TokenKind distinguishes the two tokens of one login.
type TokenKind int

// The kinds of token.
const (
	OperationToken TokenKind = iota + 1
	RefreshToken
)

// Credentials are a user name and a password. Their string representations leave out the password.
type Credentials struct {
	Name, Password string
	// Address is the RemoteAddr of the request, for limits on failures.
	Address string
}

// String leaves out the password.
func (c Credentials) String() string { return c.Name + " from " + c.Address }

// GoString leaves out the password.
func (c Credentials) GoString() string { return c.String() }

// Authenticator finds the caller that an Authorization header or a user name and password in the body belong to.
//
// Password is called for each request with such credentials. An implementation that caches verified passwords has to notice when
// they change. Both methods have to be safe for concurrent use.
type Authenticator interface {
	// Password returns the caller, or ErrInvalid, ErrInactive or ErrThrottled.
	Password(ctx context.Context, c Credentials) (Caller, error)
	// Token returns the caller and the kind of the token, or ErrInvalid or ErrExpired. The role and the super-user flag are
	// the user's current ones, not those in the token. A token with a role claim is ErrInvalid.
	Token(ctx context.Context, token string) (Caller, TokenKind, error)
}

// User is a user without the password, which is never read back.
type User struct {
	Name string
	// Role is the id of a role, which may no longer exist.
	Role             string
	Active           bool
	Created, Updated time.Time
}

// UserChange changes a user. A nil field leaves the user's as it is.
type UserChange struct {
	Password *string
	Role     *string
	Active   *bool
}

// Users stores users. Changing the password of a user, or dropping the user, has to revoke the user's sessions before the call
// returns. The tokens of a disabled user are refused; as on the recorded server, they are valid again once the user is enabled,
// unless they have expired. All methods have to be safe for concurrent use.
type Users interface {
	// User returns one user, or ErrNotFound.
	User(ctx context.Context, name string) (User, error)
	// ListUsers returns all users, ordered by name.
	ListUsers(ctx context.Context) ([]User, error)
	// AddUser stores a new user, or returns ErrExists or ErrRefused. It sets Created and Updated itself.
	AddUser(ctx context.Context, u User, password string) error
	// ChangeUser changes a user, or returns ErrNotFound or ErrRefused. The name and the password may be empty.
	ChangeUser(ctx context.Context, name string, c UserChange) error
	// DropUser removes a user, or returns ErrNotFound.
	DropUser(ctx context.Context, name string) error
}

// Role is a named set of permissions. Of these, this package interprets only `super_user`.
type Role struct {
	// ID never changes. It is the name that the role was added with, unless add_role named another.
	ID string
	// Name is the member `role`. alter_role can change it.
	Name string
	// Permission is a JSON object. It has to be stored unchanged, so that its members keep their order.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// Roles stores roles. All methods have to be safe for concurrent use.
type Roles interface {
	// Role returns one role, or ErrNotFound.
	Role(ctx context.Context, id string) (Role, error)
	// ListRoles returns all roles, ordered by id.
	ListRoles(ctx context.Context) ([]Role, error)
	// AddRole stores a new role, with Created and Updated, and returns it as stored, or ErrExists or ErrRefused.
	AddRole(ctx context.Context, r Role) (Role, error)
	// ChangeRole replaces the name, unless it is empty, and the permission. It keeps Created, sets Updated, and returns the
	// role as stored, or ErrNotFound or ErrRefused.
	ChangeRole(ctx context.Context, r Role) (Role, error)
	// DropRole removes a role, or returns ErrNotFound, or ErrInUse while an active user has it. Inactive users lose the role.
	DropRole(ctx context.Context, id string) error
}
