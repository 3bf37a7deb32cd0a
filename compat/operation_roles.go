package compat

import (
	"errors"
	"strings"
)

// roleNamed finds a role by its name, which is nearly always its id.
func (h *Handler) roleNamed(c *call, name string) (Role, error) {
	role, err := h.cfg.Roles.Role(c.ctx(), name)
	if err == nil && role.Name == name || err != nil && !errors.Is(err, ErrNotFound) {
		return role, err
	}
	roles, err := h.cfg.Roles.ListRoles(c.ctx())
	if err != nil {
		return Role{}, err
	}
	for _, r := range roles {
		if r.Name == name {
			return r, nil
		}
	}
	return Role{}, ErrNotFound
}

func (h *Handler) listRoles(c *call) (any, error) {
	roles, err := h.cfg.Roles.ListRoles(c.ctx())
	if err != nil {
		return nil, err
	}
	list := make([]orderedObject, 0, len(roles))
	for _, r := range roles {
		list = append(list, roleObject(r))
	}
	return list, nil
}

func (h *Handler) addRole(c *call) (any, error) {
	if err := h.checkRole(c.op, true); err != nil {
		return nil, err
	}
	name := c.op.get("role").Text()
	id := name
	if v := c.op.get("id"); v.truthy() {
		id = v.Text()
	}
	var role Role
	_, err := h.roleNamed(c, name)
	switch {
	case err == nil:
		err = ErrExists
	case errors.Is(err, ErrNotFound):
		role, err = h.cfg.Roles.AddRole(c.ctx(), Role{ID: id, Name: name, Permission: c.op.get("permission").Raw})
	}
	switch {
	case errors.Is(err, ErrExists):
		return nil, conflict("A role with name '" + name + "' already exists")
	case errors.Is(err, ErrRefused):
		return nil, badRequest("Role is invalid")
	case err != nil:
		return nil, err
	}
	return echoRole(c.op, orderedMember{"id", role.ID}, timeMembers(role)), nil
}

func (h *Handler) alterRole(c *call) (any, error) {
	if err := h.checkRole(c.op, false); err != nil {
		return nil, err
	}
	role, err := h.cfg.Roles.ChangeRole(c.ctx(), Role{
		ID:         c.op.get("id").Text(),
		Name:       c.op.get("role").Text(),
		Permission: c.op.get("permission").Raw,
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, badRequest("Invalid role id")
	case errors.Is(err, ErrRefused):
		return nil, badRequest("Role is invalid")
	case err != nil:
		return nil, err
	}
	return echoRole(c.op, orderedMember{"role", role.Name}, timeMembers(role)), nil
}

func (h *Handler) dropRole(c *call) (any, error) {
	problems := append(checkName("Role", c.op.get("role"), false), checkName("Id", c.op.get("id"), true)...)
	if len(problems) > 0 {
		return nil, frameworkError(strings.Join(problems, ","))
	}
	id := c.op.get("id").Text()
	role, err := h.cfg.Roles.Role(c.ctx(), id)
	if err == nil {
		err = h.cfg.Roles.DropRole(c.ctx(), id)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, notFound("Role not found")
	case errors.Is(err, ErrInUse):
		return nil, conflict("Cannot drop role " + role.Name + " as it has active user(s) tied to this role")
	case err != nil:
		return nil, err
	}
	return messageBody{role.Name + " successfully deleted"}, nil
}
