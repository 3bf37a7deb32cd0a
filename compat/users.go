package compat

import (
	"encoding/json"
	"errors"
	"strings"
)

// userRecord is a user as operations show it. It has no place for a secret.
type userRecord struct {
	Active   bool   `json:"active"`
	Username string `json:"username"`
	Role     any    `json:"role,omitempty"`
}

func (h *Handler) userInfo(c *call) (any, error) {
	u, err := h.cfg.Users.User(c.ctx, c.caller.Name)
	if err != nil {
		return nil, gone(err)
	}
	role, err := h.cfg.Roles.Role(c.ctx, u.Role)
	if err != nil {
		return nil, gone(err)
	}
	return userRecord{Active: u.Active, Username: u.Name, Role: storedRole(role)}, nil
}

// gone is what became of a caller whose user or role has gone since the header was checked.
func gone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return refuse(inHeaderBearer, ErrInvalid)
	}
	return err
}

func (h *Handler) listUsers(c *call) (any, error) {
	users, err := h.cfg.Users.ListUsers(c.ctx)
	if err != nil {
		return nil, err
	}
	roles, err := h.cfg.Roles.ListRoles(c.ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]any, len(roles)) // :: role id → role
	for _, role := range roles {
		byID[role.ID] = listedRole(role)
	}
	list := make([]userRecord, 0, len(users))
	for _, u := range users {
		list = append(list, userRecord{Active: u.Active, Username: u.Name, Role: byID[u.Role]})
	}
	return list, nil
}

func (h *Handler) addUser(c *call) (any, error) {
	if problem := checkUser(c.op, true); problem != "" {
		return nil, badRequest(problem)
	}
	name, password, problem := scalars(c.op.get("username"), c.op.get("password"))
	if problem != "" {
		return nil, badRequest(problem)
	}
	roleName := c.op.get("role").text()
	role, err := h.roleNamed(c, roleName)
	if errors.Is(err, ErrNotFound) {
		return nil, notFound(roleName + " role not found")
	}
	if err != nil {
		return nil, err
	}
	err = h.cfg.Users.AddUser(c.ctx, User{Name: name, Role: role.ID, Active: c.op.get("active").bool()}, password)
	if errors.Is(err, ErrExists) {
		return nil, conflict("User " + name + " already exists")
	}
	if errors.Is(err, ErrRefused) {
		return nil, badRequest("Username or password is invalid")
	}
	if err != nil {
		return nil, err
	}
	return message{name + " successfully added"}, nil
}

// changed is what alter_user answers: the words of an update of records.
type changed struct {
	Message string            `json:"message"`
	Time    int               `json:"txn_time"`
	Updated []json.RawMessage `json:"update_hashes"`
	Skipped []json.RawMessage `json:"skipped_hashes"`
}

func (h *Handler) alterUser(c *call) (any, error) {
	user, password, role, active := c.op.get("username"), c.op.get("password"), c.op.get("role"), c.op.get("active")
	if problem := checkChange(user, password, role, active); problem != "" {
		return nil, badRequest(problem)
	}
	name, word, problem := scalars(user, password)
	if problem != "" {
		return nil, badRequest(problem)
	}
	var change UserChange
	if !password.nullish() {
		change.Password = &word
	}
	if !active.nullish() {
		on := active.bool()
		change.Active = &on
	}
	if role.truthy() {
		found, err := h.roleNamed(c, role.text())
		if errors.Is(err, ErrNotFound) {
			wanted, _ := role.name()
			return nil, notFound("Update failed.  Requested '" + wanted + "' role not found.")
		}
		if err != nil {
			return nil, err
		}
		change.Role = &found.ID
	}
	hash := []json.RawMessage{json.RawMessage(user.raw)}
	err := h.cfg.Users.ChangeUser(c.ctx, name, change)
	switch {
	case errors.Is(err, ErrNotFound) && h.moving():
		return &passOn{caller: *c.caller}, nil
	case errors.Is(err, ErrNotFound):
		return changed{Message: "updated 0 of 1 records", Updated: []json.RawMessage{}, Skipped: hash}, nil
	case errors.Is(err, ErrRefused):
		return nil, badRequest("Password is invalid")
	case err != nil:
		return nil, err
	}
	return changed{Message: "updated 1 of 1 records", Updated: hash, Skipped: []json.RawMessage{}}, nil
}

func (h *Handler) dropUser(c *call) (any, error) {
	if problem := checkUser(c.op, false); problem != "" {
		return nil, badRequest(problem)
	}
	name, _, problem := scalars(c.op.get("username"), value{})
	if problem != "" {
		return nil, badRequest(problem)
	}
	err := h.cfg.Users.DropUser(c.ctx, name)
	if errors.Is(err, ErrNotFound) && h.moving() {
		return &passOn{caller: *c.caller}, nil
	}
	if errors.Is(err, ErrNotFound) {
		return nil, notFound("User " + name + " does not exist")
	}
	if err != nil {
		return nil, err
	}
	return message{name + " successfully deleted"}, nil
}

// moving tells that users who are unknown here may not have moved yet: what changes them is for the upstream.
func (h *Handler) moving() bool { return h.peer != nil && h.peer.Importer != nil }

// scalars reads a name and a password, which may be numbers or booleans too.
func scalars(user, password value) (name, word, problem string) {
	name, ok := user.name()
	if !ok {
		return "", "", "Username is invalid"
	}
	word, ok = password.name()
	if !ok && !password.nullish() {
		return "", "", "Password is invalid"
	}
	return name, word, ""
}

// checkUser validates what add_user (all is true) and drop_user are given.
func checkUser(o *Operation, all bool) string {
	var problems []string
	user, password, role, active := o.get("username"), o.get("password"), o.get("role"), o.get("active")
	if user.nullish() {
		problems = append(problems, "Username can't be blank")
	} else if user.text() == "system" {
		problems = append(problems, "Username You cannot create tables within the system schema")
	}
	if all && password.nullish() {
		problems = append(problems, "Password can't be blank")
	}
	problems = append(problems, checkWord("Role", role, all)...)
	if all && active.nullish() {
		problems = append(problems, "Active can't be blank")
	} else if !active.nullish() && active.kind() != boolean {
		problems = append(problems, "Active must be a boolean")
	}
	return strings.Join(problems, ",")
}

// checkChange validates what alter_user is given, and says the first thing that is wrong.
func checkChange(user, password, role, active value) string {
	switch {
	case user.empty():
		return "username is required"
	case password.empty() && role.empty() && active.empty():
		return "nothing to update, must supply active, role or password to update"
	case !password.nullish() && password.kind() != text:
		return "password must be a string"
	case !password.nullish() && strings.TrimSpace(password.text()) == "":
		return "password cannot be an empty string"
	case !active.nullish() && active.kind() != boolean:
		return "active must be true or false"
	case role.kind() == text && role.empty():
		return "If role is specified, it cannot be empty."
	}
	return ""
}
