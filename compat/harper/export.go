package harper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// User is a row of system.hdb_user.
type User struct {
	Name   string
	Role   string // the role's id
	Active bool
	// Hash is the stored password: the salt, then the hash. Function is the hash function: md5, sha256 or argon2id. Old
	// versions stored none, which means md5. An empty Hash opens the account to nobody, there and here.
	Hash, Function string
	// RefreshHash is the stored refresh token, in the format of Hash. Nil: the source does not have this member. Empty: the
	// user has no refresh token.
	RefreshHash      *string
	Created, Updated time.Time // zero: not known
	Row              Row
}

// Role is a row of system.hdb_role.
type Role struct {
	ID, Name string
	// Permission is a JSON value, as it was read.
	Permission       json.RawMessage
	Created, Updated time.Time // zero: not known
	Row              Row
}

// Row says where something was read.
type Row struct {
	Source string // the file, or the table of a server
	Number int    // from 1
}

// String returns both, as in "users.json: row 3".
func (r Row) String() string { return fmt.Sprintf("%s: row %d", r.Source, r.Number) }

// Refused is a row that cannot be read.
type Refused struct {
	Row Row
	// Name is the name of the user, or the ID of the role, where the row has one. Role tells which it is.
	Name string
	Role bool
	Err  error
}

// Export is the content of sources. The zero value is empty.
type Export struct {
	Users   []User
	Roles   []Role
	Refused []Refused
}

// Errors of Read and Fetch.
var (
	// ErrFormat is returned for a file with other content.
	ErrFormat = errors.New("harper: neither rows of system.hdb_user nor of system.hdb_role")
	// ErrEmpty is returned for a table without rows: every server has users and roles.
	ErrEmpty = errors.New("harper: no rows")
	// ErrNoPasswords is returned where not one user comes with a password hash, as in the answer of list_users: none of them could
	// log in.
	ErrNoPasswords = errors.New("harper: users without their password hashes, as list_users answers them; " +
		"export them with search_by_value or sql from system.hdb_user")
)

// Read adds the rows of a file to the export. The file is a JSON array of rows, an object whose members are such arrays, as in
// {"hdb_user":[…],"hdb_role":[…]}, or several of them one after the other. A row with a username is a user; one with a permission
// is a role. name is what rows are reported by. After an error a part may have been added.
func (e *Export) Read(name string, r io.Reader) error {
	before := reading{users: len(e.Users), roles: len(e.Roles), refused: len(e.Refused)}
	decoder := json.NewDecoder(r)
	for documents := 0; ; documents++ {
		var whole json.RawMessage
		err := decoder.Decode(&whole)
		switch {
		case errors.Is(err, io.EOF) && documents == 0:
			return fmt.Errorf("%s: %w", name, ErrEmpty)
		case errors.Is(err, io.EOF):
			return e.check(name, before)
		case err != nil:
			return fmt.Errorf("harper: %s: not JSON: %w", name, err)
		}
		if err := e.add(name, whole); err != nil {
			return err
		}
	}
}

// reading is how much an export held before a source was read.
type reading struct{ users, roles, refused int }

// check judges what was read from one source as a whole.
func (e *Export) check(name string, before reading) error {
	users, hashes := e.Users[before.users:], 0
	for _, u := range users {
		if u.Hash != "" {
			hashes++
		}
	}
	listed, named := 0, 0
	for _, r := range e.Refused[before.refused:] {
		if errors.Is(r.Err, errListed) {
			listed++
		}
		if r.Name != "" {
			named++
		}
	}
	switch {
	case len(users)+listed > 0 && hashes == 0:
		return fmt.Errorf("%s: %w", name, ErrNoPasswords)
	case len(users)+len(e.Roles)-before.roles+named == 0:
		return fmt.Errorf("%s: %w", name, ErrFormat)
	}
	return nil
}

// add reads one document.
func (e *Export) add(name string, whole json.RawMessage) error {
	var rows []json.RawMessage
	if json.Unmarshal(whole, &rows) == nil && rows != nil {
		return e.addRows(name, rows)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(whole, &members) != nil || members == nil {
		return fmt.Errorf("%s: %w", name, ErrFormat)
	}
	if text, ok := errorText(members); ok {
		return fmt.Errorf("%s: the answer of a server that refused the operation (%q): %w", name, text, ErrFormat)
	}
	tables := make(map[string][]json.RawMessage, len(members))
	for member, raw := range members {
		if err := json.Unmarshal(raw, &rows); err != nil || raw[0] != '[' {
			return fmt.Errorf("%s: %w", name, ErrFormat)
		}
		tables[member], rows = rows, nil
	}
	if len(tables) == 0 {
		return fmt.Errorf("%s: %w", name, ErrEmpty)
	}
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if err := e.addRows(name+", "+table, tables[table]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Export) addRows(source string, rows []json.RawMessage) error {
	if len(rows) == 0 {
		return fmt.Errorf("%s: %w", source, ErrEmpty)
	}
	for i, raw := range rows {
		e.addRow(Row{Source: source, Number: i + 1}, raw)
	}
	return nil
}

// Add appends what another export holds.
func (e *Export) Add(other *Export) {
	e.Users = append(e.Users, other.Users...)
	e.Roles = append(e.Roles, other.Roles...)
	e.Refused = append(e.Refused, other.Refused...)
}
