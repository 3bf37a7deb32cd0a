package main

import (
	"context"
	"errors"

	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// User implements compat.Users.
func (a *accounts) User(ctx context.Context, name string) (compat.User, error) {
	u, err := a.store.Users.User(ctx, name)
	return shownUser(u), verdict(err)
}

// ListUsers implements compat.Users.
func (a *accounts) ListUsers(ctx context.Context) ([]compat.User, error) {
	users, err := a.store.Users.ListUsers(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]compat.User, len(users))
	for i, u := range users {
		list[i] = shownUser(u)
	}
	return list, nil
}

func shownUser(u storage.User) compat.User {
	return compat.User{Name: u.Name, Role: u.Role, Active: u.Active, Created: u.Created, Updated: u.Updated}
}

// AddUser implements compat.Users.
func (a *accounts) AddUser(ctx context.Context, u compat.User, password string) error {
	return verdict(a.store.Users.AddUser(ctx, storage.User{Name: u.Name, Role: u.Role, Active: u.Active}, password))
}

// ChangeUser implements compat.Users.
func (a *accounts) ChangeUser(ctx context.Context, name string, c compat.UserChange) error {
	return verdict(a.store.Users.ChangeUser(ctx, name, storage.UserChange{Password: c.Password, Role: c.Role, Active: c.Active}))
}

// DropUser implements compat.Users.
func (a *accounts) DropUser(ctx context.Context, name string) error {
	return verdict(a.store.Users.DropUser(ctx, name))
}

// Role implements compat.Roles.
func (a *accounts) Role(ctx context.Context, id string) (compat.Role, error) {
	r, err := a.store.Users.Role(ctx, id)
	return compat.Role(r), verdict(err)
}

// ListRoles implements compat.Roles.
func (a *accounts) ListRoles(ctx context.Context) ([]compat.Role, error) {
	roles, err := a.store.Users.ListRoles(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]compat.Role, len(roles))
	for i, r := range roles {
		list[i] = compat.Role(r)
	}
	return list, nil
}

// AddRole implements compat.Roles.
func (a *accounts) AddRole(ctx context.Context, r compat.Role) (compat.Role, error) {
	stored, err := a.store.Users.AddRole(ctx, storage.Role(r))
	return compat.Role(stored), verdict(err)
}

// ChangeRole implements compat.Roles.
func (a *accounts) ChangeRole(ctx context.Context, r compat.Role) (compat.Role, error) {
	stored, err := a.store.Users.ChangeRole(ctx, storage.Role(r))
	return compat.Role(stored), verdict(err)
}

// DropRole implements compat.Roles.
func (a *accounts) DropRole(ctx context.Context, id string) error {
	return verdict(a.store.Users.DropRole(ctx, id))
}

// ImportUser implements compat.Importer: the password is hashed as ours are, and the role comes along.
func (a *accounts) ImportUser(ctx context.Context, u compat.ImportedUser) error {
	if u.Role.ID != "" {
		if _, err := a.store.Users.AddRole(ctx, storage.Role(u.Role)); err != nil && !errors.Is(err, storage.ErrExists) {
			return verdict(err)
		}
	}
	return verdict(a.store.Users.AddVerifiedUser(ctx, storage.User{Name: u.Name, Role: u.Role.ID, Active: u.Active}, u.Password))
}
