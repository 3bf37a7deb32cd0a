package compat

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// userBody is a user as operations return it. It has no secrets. The times are in list_users alone.
type userBody struct {
	Active   bool        `json:"active"`
	Username string      `json:"username"`
	Role     any         `json:"role,omitempty"`
	Updated  json.Number `json:"__updatedtime__,omitempty"`
	Created  json.Number `json:"__createdtime__,omitempty"`
}

func (h *Handler) userInfo(c *call) (any, error) {
	u, err := h.cfg.Users.User(c.ctx(), c.caller.Name)
	if err != nil {
		return nil, callerGone(err)
	}
	role, err := h.cfg.Roles.Role(c.ctx(), u.Role)
	if err != nil {
		return nil, callerGone(err)
	}
	return userBody{Active: u.Active, Username: u.Name, Role: roleObject(role)}, nil
}

// callerGone is the error for a caller whose user or role was dropped after the header had been checked.
func callerGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return credentialError(bearerHeader, ErrInvalid)
	}
	return err
}

func (h *Handler) listUsers(c *call) (any, error) {
	users, err := h.cfg.Users.ListUsers(c.ctx())
	if err != nil {
		return nil, err
	}
	roles, err := h.cfg.Roles.ListRoles(c.ctx())
	if err != nil {
		return nil, err
	}
	byID := make(map[string]any, len(roles)) // :: role id → role
	for _, role := range roles {
		byID[role.ID] = roleObjectWithSystemTables(role)
	}
	list := make([]userBody, 0, len(users))
	for _, u := range users {
		list = append(list, userBody{
			Active: u.Active, Username: u.Name, Role: byID[u.Role], Updated: userTime(u.Updated), Created: userTime(u.Created),
		})
	}
	return list, nil
}

func (h *Handler) addUser(c *call) (any, error) {
	if problem := checkUserMembers(c.op, true); problem != "" {
		return nil, badRequest(problem)
	}
	name, password, problem := nameAndPassword(c.op.get("username"), c.op.get("password"))
	if problem != "" {
		return nil, badRequest(problem)
	}
	roleName := c.op.get("role").Text()
	role, err := h.roleNamed(c, roleName)
	if errors.Is(err, ErrNotFound) {
		return nil, notFound(roleName + " role not found")
	}
	if err != nil {
		return nil, err
	}
	err = h.cfg.Users.AddUser(c.ctx(), User{Name: name, Role: role.ID, Active: c.op.get("active").Bool()}, password)
	if errors.Is(err, ErrExists) {
		return nil, conflict("User " + name + " already exists")
	}
	if errors.Is(err, ErrRefused) {
		return nil, badRequest(refusalText(err, "Username or password is invalid"))
	}
	if err != nil {
		return nil, err
	}
	return messageBody{name + " successfully added"}, nil
}

// refusalText is the message for a user that the store refuses, in the style of checkUserMembers.
func refusalText(err error, otherwise string) string {
	refused := (*RefusedError)(nil)
	if !errors.As(err, &refused) || refused.Member == "" {
		return otherwise
	}
	return strings.ToUpper(refused.Member[:1]) + refused.Member[1:] + " " + refused.Reason
}

// updateBody is the answer to alter_user: that of an update of database records.
type updateBody struct {
	Message string            `json:"message"`
	Time    int               `json:"txn_time"`
	Updated []json.RawMessage `json:"update_hashes"`
	Skipped []json.RawMessage `json:"skipped_hashes"`
}

func (h *Handler) alterUser(c *call) (any, error) {
	user, password, role, active := c.op.get("username"), c.op.get("password"), c.op.get("role"), c.op.get("active")
	if problem := checkAlterUser(user, password, role, active); problem != "" {
		return nil, badRequest(problem)
	}
	name, newPassword, problem := nameAndPassword(user, password)
	if problem != "" {
		return nil, badRequest(problem)
	}
	var change UserChange
	if !password.nullish() {
		change.Password = &newPassword
	}
	if !active.nullish() {
		isActive := active.Bool()
		change.Active = &isActive
	}
	if role.truthy() {
		found, err := h.roleNamed(c, role.Text())
		if errors.Is(err, ErrNotFound) {
			wanted, _ := role.scalar()
			return nil, notFound("Update failed.  Requested '" + wanted + "' role not found.")
		}
		if err != nil {
			return nil, err
		}
		change.Role = &found.ID
	}
	hash := []json.RawMessage{user.Raw}
	err := h.cfg.Users.ChangeUser(c.ctx(), name, change)
	switch {
	case errors.Is(err, ErrNotFound) && h.upstream != nil:
		return h.forwardBody(c)
	case errors.Is(err, ErrNotFound):
		return updateBody{Message: "updated 0 of 1 records", Updated: []json.RawMessage{}, Skipped: hash}, nil
	case errors.Is(err, ErrRefused):
		return nil, badRequest(refusalText(err, "Password is invalid"))
	case err != nil:
		return nil, err
	}
	return updateBody{Message: "updated 1 of 1 records", Updated: hash, Skipped: []json.RawMessage{}}, nil
}

func (h *Handler) dropUser(c *call) (any, error) {
	if problem := checkUserMembers(c.op, false); problem != "" {
		return nil, badRequest(problem)
	}
	name, _, problem := nameAndPassword(c.op.get("username"), jsValue{})
	if problem != "" {
		return nil, badRequest(problem)
	}
	err := h.cfg.Users.DropUser(c.ctx(), name)
	if errors.Is(err, ErrNotFound) && h.upstream != nil {
		return h.forwardBody(c)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, notFound("User " + name + " does not exist")
	}
	if err != nil {
		return nil, err
	}
	return messageBody{name + " successfully deleted"}, nil
}

// nameAndPassword reads a user name and a password. An absent password is "".
func nameAndPassword(user, password jsValue) (nameText, passwordText, problem string) {
	nameText, ok := user.scalar()
	if !ok {
		return "", "", "Username is invalid"
	}
	passwordText, ok = password.scalar()
	if !ok && !password.nullish() {
		return "", "", "Password is invalid"
	}
	return nameText, passwordText, ""
}

// checkUserMembers validates the members of add_user, which needs all of them, and of drop_user.
func checkUserMembers(o *operation, all bool) string {
	var problems []string
	user, password, role, active := o.get("username"), o.get("password"), o.get("role"), o.get("active")
	if user.nullish() {
		problems = append(problems, "Username can't be blank")
	} else if user.Text() == "system" {
		problems = append(problems, "Username You cannot create tables within the system schema")
	}
	if all && (password.nullish() || password.empty() && password.Kind() == strictjson.String) {
		problems = append(problems, "Password can't be blank")
	}
	problems = append(problems, checkName("Role", role, all)...)
	if all && active.nullish() {
		problems = append(problems, "Active can't be blank")
	} else if !active.nullish() && active.Kind() != strictjson.Boolean {
		problems = append(problems, "Active must be a boolean")
	}
	return strings.Join(problems, ",")
}

// checkAlterUser returns the first thing that is wrong with the members of alter_user.
func checkAlterUser(user, password, role, active jsValue) string {
	switch {
	case user.empty():
		return "username is required"
	case password.empty() && role.empty() && active.empty():
		return "nothing to update, must supply active, role or password to update"
	case !password.nullish() && password.Kind() != strictjson.String:
		return "password must be a string"
	case !password.nullish() && strings.TrimSpace(password.Text()) == "":
		return "password cannot be an empty string"
	case !active.nullish() && active.Kind() != strictjson.Boolean:
		return "active must be true or false"
	case role.Kind() == strictjson.String && role.empty():
		return "If role is specified, it cannot be empty."
	}
	return ""
}
