package compat

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// fields is a JSON object whose members keep their order.
type fields []field

type field struct {
	key   string
	value any
}

// MarshalJSON writes the members in their order.
func (f fields) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	for i, m := range f {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		b.Write(encode(m.key))
		b.WriteByte(':')
		b.Write(encode(m.value))
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// storedRole is a role as it is read back. The recorded server keeps the id of an altered role first.
func storedRole(r Role) fields {
	id, permission, name := field{"id", r.ID}, field{"permission", r.Permission}, field{"role", r.Name}
	f := fields{permission, name, id}
	if r.Updated.After(r.Created) {
		f = fields{id, permission, name}
	}
	return append(f, times(r)...)
}

func times(r Role) fields {
	return fields{{"__updatedtime__", millis(r.Updated)}, {"__createdtime__", millis(r.Created)}}
}

// systemTables are those that list_users adds to the permissions of every role.
var systemTables = strings.Fields("hdb_user hdb_role hdb_job hdb_license hdb_info hdb_nodes hdb_certificate " +
	"hdb_analytics_hostname hdb_analytics hdb_raw_analytics hdb_temp hdb_durable_session hdb_session_will " +
	"hdb_certificate_cache hdb_crl_cache hdb_revoked_certificates")

// tablePermission is what a role may do with one table.
type tablePermission struct {
	Read       bool       `json:"read"`
	Insert     bool       `json:"insert"`
	Update     bool       `json:"update"`
	Delete     bool       `json:"delete"`
	Attributes []struct{} `json:"attribute_permissions"`
}

// listedRole is a role as list_users shows it: with the permissions on the system tables.
func listedRole(r Role) fields {
	_, members, err := scan(r.Permission)
	if err != nil {
		return storedRole(r)
	}
	var permission fields
	super := false
	for _, m := range members {
		if m.key != "system" {
			permission = append(permission, field{m.key, json.RawMessage(m.raw)})
		}
		super = super || m.key == "super_user" && value{m.raw}.truthy()
	}
	var tables fields
	for _, name := range systemTables {
		tables = append(tables, field{name, tablePermission{Read: super, Attributes: []struct{}{}}})
	}
	r.Permission = encode(append(permission, field{"system", fields{{"tables", tables}}}))
	return storedRole(r)
}

// roleNamed finds a role by its name, which is nearly always its id.
func (h *Handler) roleNamed(c *call, name string) (Role, error) {
	role, err := h.cfg.Roles.Role(c.ctx, name)
	if err == nil && role.Name == name || err != nil && !errors.Is(err, ErrNotFound) {
		return role, err
	}
	roles, err := h.cfg.Roles.ListRoles(c.ctx)
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
	roles, err := h.cfg.Roles.ListRoles(c.ctx)
	if err != nil {
		return nil, err
	}
	list := make([]fields, 0, len(roles))
	for _, r := range roles {
		list = append(list, storedRole(r))
	}
	return list, nil
}

func (h *Handler) addRole(c *call) (any, error) {
	if f := h.checkRole(c.op, true); f != nil {
		return nil, f
	}
	name := c.op.get("role").text()
	id := name
	if v := c.op.get("id"); v.truthy() {
		id = v.text()
	}
	var role Role
	_, err := h.roleNamed(c, name)
	switch {
	case err == nil:
		err = ErrExists
	case errors.Is(err, ErrNotFound):
		role, err = h.cfg.Roles.AddRole(c.ctx, Role{ID: id, Name: name, Permission: c.op.get("permission").raw})
	}
	if errors.Is(err, ErrExists) {
		return nil, conflict("A role with name '" + name + "' already exists")
	}
	if errors.Is(err, ErrRefused) {
		return nil, badRequest("Role is invalid")
	}
	if err != nil {
		return nil, err
	}
	return echo(c.op, field{"id", role.ID}, times(role)), nil
}

func (h *Handler) alterRole(c *call) (any, error) {
	if f := h.checkRole(c.op, false); f != nil {
		return nil, f
	}
	role, err := h.cfg.Roles.ChangeRole(c.ctx, Role{
		ID:         c.op.get("id").text(),
		Name:       c.op.get("role").text(),
		Permission: c.op.get("permission").raw,
	})
	if errors.Is(err, ErrNotFound) {
		return nil, badRequest("Invalid role id")
	}
	if errors.Is(err, ErrRefused) {
		return nil, badRequest("Role is invalid")
	}
	if err != nil {
		return nil, err
	}
	return echo(c.op, field{"role", role.Name}, times(role)), nil
}

// echo repeats a role as it was sent, then what was left out and when it was changed.
func echo(o *Operation, missing field, times fields) fields {
	var f fields
	for _, m := range o.members {
		switch {
		case m.key == missing.key && value{m.raw}.truthy():
			missing.key = ""
			f = append(f, field{m.key, json.RawMessage(m.raw)})
		case m.key == missing.key:
		case m.key == "role" || m.key == "id" || m.key == "permission":
			f = append(f, field{m.key, json.RawMessage(m.raw)})
		}
	}
	if missing.key != "" {
		f = append(f, missing)
	}
	return append(f, times...)
}

func (h *Handler) dropRole(c *call) (any, error) {
	problems := append(checkWord("Role", c.op.get("role"), false), checkWord("Id", c.op.get("id"), true)...)
	if len(problems) > 0 {
		return nil, &failure{status: http.StatusBadRequest, layer: framework, message: strings.Join(problems, ",")}
	}
	id := c.op.get("id").text()
	role, err := h.cfg.Roles.Role(c.ctx, id)
	if err == nil {
		err = h.cfg.Roles.DropRole(c.ctx, id)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, notFound("Role not found")
	case errors.Is(err, ErrInUse):
		return nil, conflict("Cannot drop role " + role.Name + " as it has active user(s) tied to this role")
	case err != nil:
		return nil, err
	}
	return message{role.Name + " successfully deleted"}, nil
}
