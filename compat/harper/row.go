package harper

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	errListed  = errors.New("a row of list_users, which has no password hash")
	errNeither = errors.New("neither a user nor a role: it has no username and no permission")
)

// addRow adds a row of either table, or says why it is refused.
func (e *Export) addRow(at Row, raw json.RawMessage) {
	var f fields
	if json.Unmarshal(raw, &f) != nil || f == nil {
		e.Refused = append(e.Refused, Refused{Row: at, Err: fmt.Errorf("%s where an object is expected", kindOf(raw))})
		return
	}
	var err error
	r := Refused{Row: at}
	switch _, isUser := f["username"]; {
	case isUser:
		var u User
		if u, err = f.user(); err == nil {
			u.Row = at
			e.Users = append(e.Users, u)
		}
		r.Name = u.Name
	case f["permission"] != nil:
		var role Role
		if role, err = f.role(); err == nil {
			role.Row = at
			e.Roles = append(e.Roles, role)
		}
		r.Name, r.Role = role.ID, true
	default:
		err = errNeither
	}
	if err != nil {
		r.Err = err
		e.Refused = append(e.Refused, r)
	}
}

// fields are the members of a row. Their names are case-sensitive.
type fields map[string]json.RawMessage

// user returns the user, and with an error at least the name where that can be read.
func (f fields) user() (User, error) {
	name, err := f.text("username")
	switch {
	case err != nil:
		return User{}, err
	case name == nil:
		return User{}, errors.New("username: null where a string is expected")
	}
	u := User{Name: *name, Active: true, Function: "md5", Created: f.time("__createdtime__"), Updated: f.time("__updatedtime__")}
	if role := f["role"]; len(role) > 0 && role[0] == '{' {
		return u, errListed
	}
	role, err := f.text("role")
	if err != nil {
		return u, err
	}
	if role != nil {
		u.Role = *role
	}
	if raw := f["active"]; !isNull(raw) && json.Unmarshal(raw, &u.Active) != nil {
		return u, fmt.Errorf("active: %s where true or false is expected", kindOf(raw))
	}
	password, err := f.text("password")
	if err != nil {
		return u, err
	}
	if password != nil {
		u.Hash = *password
	}
	function, err := f.text("hash_function")
	if err != nil {
		return u, err
	}
	if function != nil {
		u.Function = *function
	}
	if raw, told := f["refresh_token"]; told {
		if u.RefreshHash, err = f.text("refresh_token"); err != nil {
			return u, err
		}
		if isNull(raw) {
			u.RefreshHash = new(string)
		}
	}
	return u, nil
}

// role returns the role, and with an error at least the ID where that can be read.
func (f fields) role() (Role, error) {
	r := Role{Permission: f["permission"], Created: f.time("__createdtime__"), Updated: f.time("__updatedtime__")}
	id, err := f.text("id")
	if err != nil {
		return r, err
	}
	name, err := f.text("role")
	if err != nil {
		return r, err
	}
	if name != nil {
		r.ID, r.Name = *name, *name
	}
	if id != nil && *id != "" {
		r.ID = *id
	}
	if r.ID == "" {
		return r, errors.New("neither id nor role names it")
	}
	if r.Permission[0] != '{' {
		return r, fmt.Errorf("permission: %s where an object is expected", kindOf(r.Permission))
	}
	return r, nil
}

// text returns a member, nil where there is none or it is null. What stands for characters that are not Unicode is refused: two
// names could become one.
func (f fields) text(name string) (*string, error) {
	raw := f[name]
	if isNull(raw) {
		return nil, nil //nolint:nilnil // a member that is not there is not an error
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil, fmt.Errorf("%s: %s where a string is expected", name, kindOf(raw))
	}
	if !utf8.Valid(raw) || strings.ContainsRune(s, utf8.RuneError) {
		return nil, fmt.Errorf("%s: not Unicode", name)
	}
	return &s, nil
}

// time returns a member that is a time in milliseconds, which may have a fraction. Zero: not known, or not one that can be.
func (f fields) time(name string) time.Time {
	const year10000 = 253402300800000
	var ms float64
	if json.Unmarshal(f[name], &ms) != nil || ms <= 0 || ms >= year10000 {
		return time.Time{}
	}
	return time.UnixMicro(int64(ms * 1000)).UTC()
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || raw[0] == 'n' }

// kindOf names the kind of a JSON value, and nothing of its content.
func kindOf(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}
