package compat_test

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/opgrant/opgrant/compat"
)

// User implements compat.Users, as do the next methods.
func (d *directory) User(_ context.Context, name string) (compat.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.users[name]; u != nil {
		return u.User, nil
	}
	return compat.User{}, compat.ErrNotFound
}

func (d *directory) ListUsers(context.Context) ([]compat.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []compat.User
	for _, name := range slices.Sorted(maps.Keys(d.users)) {
		list = append(list, d.users[name].User)
	}
	return list, nil
}

func (d *directory) AddUser(_ context.Context, u compat.User, password string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[u.Name] != nil {
		return compat.ErrExists
	}
	u.Created = d.now()
	u.Updated = u.Created
	d.users[u.Name] = &account{u, password}
	return nil
}

func (d *directory) ChangeUser(_ context.Context, name string, c compat.UserChange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.users[name]
	if u == nil {
		return compat.ErrNotFound
	}
	if c.Password != nil {
		u.password = *c.Password
		d.endSessions(name)
	}
	if c.Role != nil {
		u.Role = *c.Role
	}
	if c.Active != nil {
		u.Active = *c.Active
	}
	return nil
}

func (d *directory) DropUser(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[name] == nil {
		return compat.ErrNotFound
	}
	delete(d.users, name)
	d.endSessions(name)
	return nil
}

func (d *directory) endSessions(name string) {
	maps.DeleteFunc(d.sessions, func(_, user string) bool { return user == name })
}

// Role implements compat.Roles, as do the next methods.
func (d *directory) Role(_ context.Context, id string) (compat.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.roles[id]; ok {
		return r, nil
	}
	return compat.Role{}, compat.ErrNotFound
}

func (d *directory) ListRoles(context.Context) ([]compat.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []compat.Role
	for _, id := range slices.Sorted(maps.Keys(d.roles)) {
		list = append(list, d.roles[id])
	}
	return list, nil
}

func (d *directory) AddRole(_ context.Context, r compat.Role) (compat.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.roles[r.ID]; ok {
		return compat.Role{}, compat.ErrExists
	}
	r.Created = d.now()
	r.Updated = r.Created
	d.roles[r.ID] = r
	return r, nil
}

func (d *directory) ChangeRole(_ context.Context, r compat.Role) (compat.Role, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, ok := d.roles[r.ID]
	if !ok {
		return compat.Role{}, compat.ErrNotFound
	}
	r.Name, r.Created, r.Updated = cmp.Or(r.Name, old.Name), old.Created, d.now()
	d.roles[r.ID] = r
	return r, nil
}

func (d *directory) DropRole(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.roles[id]; !ok {
		return compat.ErrNotFound
	}
	for _, u := range d.users {
		if u.Role == id && u.Active {
			return compat.ErrInUse
		}
	}
	delete(d.roles, id)
	return nil
}
