package opgrant

import (
	"context"

	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// User implements compat.Users.
func (a *accounts) User(ctx context.Context, name string) (compat.User, error) {
	u, err := a.store.Users.User(ctx, name)
	return shownUser(u), accountError(err)
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
	return accountError(a.store.Users.AddUser(ctx, storage.User{Name: u.Name, Role: u.Role, Active: u.Active}, password))
}

// ChangeUser implements compat.Users.
func (a *accounts) ChangeUser(ctx context.Context, name string, c compat.UserChange) error {
	return accountError(a.store.Users.ChangeUser(ctx, name, storage.UserChange{Password: c.Password, Role: c.Role, Active: c.Active}))
}

// DropUser implements compat.Users.
func (a *accounts) DropUser(ctx context.Context, name string) error {
	return accountError(a.store.Users.DropUser(ctx, name))
}
