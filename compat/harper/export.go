package harper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// User is a row of system.hdb_user.
type User struct {
	Name   string
	Role   string // the role's id
	Active bool
	// Hash is the stored password: the salt, then the hash. Function is the hash function: md5, sha256 or argon2id. Old
	// versions stored none, which means md5.
	Hash, Function string
	// RefreshHash is the stored refresh token, in the format of Hash. Nil: the source does not have this member. Empty: the
	// user has no refresh token.
	RefreshHash      *string
	Created, Updated time.Time
}

// Role is a row of system.hdb_role.
type Role struct {
	ID, Name string
	// Permission is a JSON object, as it was read.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// Export is the content of a source.
type Export struct {
	Users []User
	Roles []Role
}

// ErrFormat is returned for a file with other content.
var ErrFormat = errors.New("harper: neither rows of system.hdb_user nor of system.hdb_role")

// Read adds the rows of a file to the export. The file is a JSON array of rows, or an object whose members are such arrays, as in
// {"hdb_user":[…],"hdb_role":[…]}. A row with a username is a user; one with a permission is a role.
func (e *Export) Read(r io.Reader) error {
	var whole json.RawMessage
	if err := json.NewDecoder(r).Decode(&whole); err != nil {
		return fmt.Errorf("harper: %w", err)
	}
	var rows []json.RawMessage
	if json.Unmarshal(whole, &rows) == nil {
		return e.add(rows)
	}
	var tables map[string][]json.RawMessage
	if err := json.Unmarshal(whole, &tables); err != nil {
		return ErrFormat
	}
	for _, rows := range tables {
		if err := e.add(rows); err != nil {
			return err
		}
	}
	return nil
}

// row is a row of either table.
type row struct {
	Username     *string         `json:"username"`
	Role         string          `json:"role"`
	Active       *bool           `json:"active"`
	Password     string          `json:"password"`
	HashFunction *string         `json:"hash_function"`
	RefreshToken json.RawMessage `json:"refresh_token"`

	ID         string          `json:"id"`
	Permission json.RawMessage `json:"permission"`

	Created float64 `json:"__createdtime__"`
	Updated float64 `json:"__updatedtime__"`
}

func (e *Export) add(rows []json.RawMessage) error {
	for i, raw := range rows {
		var r row
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("harper: row %d: %w", i+1, err)
		}
		switch {
		case r.Username != nil:
			user, err := r.user()
			if err != nil {
				return fmt.Errorf("harper: row %d: %w", i+1, err)
			}
			e.Users = append(e.Users, user)
		case len(r.Permission) > 0 && (r.ID != "" || r.Role != ""):
			e.Roles = append(e.Roles, r.roleRow())
		default:
			return fmt.Errorf("row %d: %w", i+1, ErrFormat)
		}
	}
	return nil
}

func (r row) user() (User, error) {
	u := User{
		Name: *r.Username, Role: r.Role, Active: r.Active == nil || *r.Active, Hash: r.Password, Function: "md5",
		Created: parseMilliseconds(r.Created), Updated: parseMilliseconds(r.Updated),
	}
	if r.HashFunction != nil {
		u.Function = *r.HashFunction
	}
	if len(r.RefreshToken) > 0 {
		var hash *string
		if err := json.Unmarshal(r.RefreshToken, &hash); err != nil {
			return User{}, fmt.Errorf("refresh_token: %w", err)
		}
		if hash == nil {
			hash = new(string)
		}
		u.RefreshHash = hash
	}
	return u, nil
}

func (r row) roleRow() Role {
	role := Role{ID: r.ID, Name: r.Role, Permission: r.Permission, Created: parseMilliseconds(r.Created), Updated: parseMilliseconds(r.Updated)}
	if role.ID == "" {
		role.ID = role.Name
	}
	return role
}

// parseMilliseconds converts a time in milliseconds, which may have a fraction. Zero: not known.
func parseMilliseconds(ms float64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(ms * 1000)).UTC()
}
