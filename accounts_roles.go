package opgrant

import (
	"context"

	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// Role implements compat.Roles.
func (a *accounts) Role(ctx context.Context, id string) (compat.Role, error) {
	r, err := a.store.Users.Role(ctx, id)
	return compat.Role(r), accountError(err)
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
	return compat.Role(stored), accountError(err)
}

// ChangeRole implements compat.Roles.
func (a *accounts) ChangeRole(ctx context.Context, r compat.Role) (compat.Role, error) {
	stored, err := a.store.Users.ChangeRole(ctx, storage.Role(r))
	return compat.Role(stored), accountError(err)
}

// DropRole implements compat.Roles.
func (a *accounts) DropRole(ctx context.Context, id string) error {
	return accountError(a.store.Users.DropRole(ctx, id))
}
