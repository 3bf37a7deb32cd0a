package compat

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// The verdicts that the interfaces below return. Implementations may wrap them; they are recognised with [errors.Is].
//
// Every other error means "don't know" (the store does not answer, the server is overloaded) and becomes 503 with
// Retry-After, never a verdict on the caller: clients throw their tokens away on a 401.
var (
	// ErrInvalid: the password is wrong, the user unknown, or the token is not one of ours, altered or revoked.
	ErrInvalid = errors.New("compat: not valid")
	// ErrExpired: the token bears a good signature of ours and its time is over. This is found out before anything else about
	// it, so that it holds for revoked tokens and for those of a dropped user too.
	ErrExpired = errors.New("compat: expired")
	// ErrInactive: the credentials are right and their user is disabled. Only [Authenticator.Password] returns it; a token
	// of a disabled user is ErrInvalid.
	ErrInactive = errors.New("compat: user is inactive")
	// ErrNotFound: there is no such user or role.
	ErrNotFound = errors.New("compat: not found")
	// ErrExists: there is such a user or role already.
	ErrExists = errors.New("compat: already exists")
	// ErrInUse: an active user has the role.
	ErrInUse = errors.New("compat: in use")
	// ErrRefused: the store cannot hold such a name, password or permission, because it is too long for example.
	ErrRefused = errors.New("compat: refused by the store")
	// ErrThrottled: too many failures of this user or from this address. It becomes 429 with Retry-After; wrap it in a
	// [RetryError] to say how long.
	ErrThrottled = errors.New("compat: throttled")
)

// RetryError adds the time after which asking again makes sense to ErrThrottled or to a "don't know".
type RetryError struct {
	Err   error
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }

func (e *RetryError) Unwrap() error { return e.Err }

// Caller is who a request comes from.
type Caller struct {
	Name string
	// Role is the id of the user's role, empty when the user has none or when that role has gone.
	Role      string
	SuperUser bool
}

// TokenKind tells the two tokens of one login apart.
type TokenKind int

// The kinds of token that a client may present.
const (
	OperationToken TokenKind = iota + 1
	RefreshToken
)

// Credentials are a user name and a password, and where they come from.
type Credentials struct {
	Name, Password string
	// Address is the RemoteAddr of the request, for limits on failures.
	Address string
}

// String hides the password from logs.
func (c Credentials) String() string { return c.Name + " from " + c.Address }

// GoString hides the password from logs.
func (c Credentials) GoString() string { return c.String() }

// Authenticator finds the caller behind an Authorization header, or behind a user name and password in the body.
//
// Password is called for each request with such credentials, so a cache of verified ones belongs into its implementation,
// which alone sees the stored hash and its changes. Both methods are safe for concurrent use.
type Authenticator interface {
	// Password returns the caller, or ErrInvalid, ErrInactive or ErrThrottled.
	Password(ctx context.Context, c Credentials) (Caller, error)
	// Token returns the caller and the kind of the token, or ErrInvalid or ErrExpired. The role and the super-user flag are
	// those that the user has now, not those in the token. Tokens that a login asked a role for are ErrInvalid.
	Token(ctx context.Context, token string) (Caller, TokenKind, error)
}

// User is what operations may learn about a user. The password is set with [Users.AddUser] and [Users.ChangeUser] and is
// never read back.
type User struct {
	Name string
	// Role is the id of a role. The role may have gone.
	Role             string
	Active           bool
	Created, Updated time.Time
}

// UserChange says what to change of a user: nil leaves a field as it is.
type UserChange struct {
	Password *string
	Role     *string
	Active   *bool
}

// Users keeps the users that operations manage. A changed password and a dropped user end that user's sessions before the call
// returns, whoever holds their tokens. The tokens of a disabled user are refused from then on; as recorded, those that have
// not expired are good again when the user is enabled.
type Users interface {
	// User returns one user, or ErrNotFound.
	User(ctx context.Context, name string) (User, error)
	// ListUsers returns all users, ordered by name.
	ListUsers(ctx context.Context) ([]User, error)
	// AddUser stores a new user, or returns ErrExists or ErrRefused. It sets Created and Updated itself.
	AddUser(ctx context.Context, u User, password string) error
	// ChangeUser returns ErrNotFound when there is no such user, or ErrRefused. Any name and any password are allowed, empty ones too.
	ChangeUser(ctx context.Context, name string, c UserChange) error
	// DropUser returns ErrNotFound when there is no such user.
	DropUser(ctx context.Context, name string) error
}

// Role is a named set of permissions. Operations interpret nothing of the permissions but `super_user`.
type Role struct {
	// ID names the role. It is the name that it was added with and never changes.
	ID string
	// Name is what `role` says, equal to ID unless alter_role changed it.
	Name string
	// Permission is a JSON object, kept byte for byte: its members keep their order.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// Roles keeps the roles that operations manage.
type Roles interface {
	// Role returns one role, or ErrNotFound.
	Role(ctx context.Context, id string) (Role, error)
	// ListRoles returns all roles, ordered by id.
	ListRoles(ctx context.Context) ([]Role, error)
	// AddRole stores a new role, or returns ErrExists or ErrRefused, and returns the role as stored, with Created and Updated.
	AddRole(ctx context.Context, r Role) (Role, error)
	// ChangeRole replaces name (unless empty) and permission, keeps Created, moves Updated, and returns the role as stored,
	// or ErrNotFound or ErrRefused.
	ChangeRole(ctx context.Context, r Role) (Role, error)
	// DropRole returns ErrNotFound, or ErrInUse while an active user has the role. Inactive users lose theirs.
	DropRole(ctx context.Context, id string) error
}
