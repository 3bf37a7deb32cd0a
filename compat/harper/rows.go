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
	// Hash is the password as it is stored there, salt and all; Function says how it was made: md5, sha256 or argon2id. A
	// row of an old version names none, which is md5.
	Hash, Function string
	// RefreshHash is the stored form of the one refresh token that the user has there, in the same way. Nil: the source
	// does not say. Empty: there is none.
	RefreshHash      *string
	Created, Updated time.Time
}

// Role is a row of system.hdb_role.
type Role struct {
	ID, Name string
	// Permission is a JSON object, byte for byte.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// Export is all that a source holds.
type Export struct {
	Users []User
	Roles []Role
}

// ErrFormat is returned for a file that holds no such rows.
var ErrFormat = errors.New("harper: neither rows of system.hdb_user nor of system.hdb_role")

// Read adds the rows of a file to the export: a JSON array of them, or an object whose members are such arrays, as in
// {"hdb_user":[…],"hdb_role":[…]}. Rows are told apart by what they hold.
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
		Created: moment(r.Created), Updated: moment(r.Updated),
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
	role := Role{ID: r.ID, Name: r.Role, Permission: r.Permission, Created: moment(r.Created), Updated: moment(r.Updated)}
	if role.ID == "" {
		role.ID = role.Name
	}
	return role
}

// moment reads a time in milliseconds, which may have a fraction. Zero: not known.
func moment(ms float64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(ms * 1000)).UTC()
}
