package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

// seedUser creates a user. An existing one keeps the password that it has.
func seedUser(ctx context.Context, users *storage.Users, u config.User, log *slog.Logger) error {
	_, err := users.User(ctx, u.Username)
	if err == nil || !IsNotFound(err) {
		return err
	}
	if err := EnsureRole(ctx, users, u.Role); err != nil {
		return err
	}
	err = users.AddUser(ctx, storage.User{Name: u.Username, Role: u.Role, Active: true}, string(u.Password))
	if errors.Is(err, storage.ErrExists) {
		return nil // another server was first
	}
	if err == nil {
		log.Info("user created as configured", "user", u.Username)
	}
	return err
}

// CheckUser reports what the store would refuse of a configured user.
func CheckUser(u config.User, passwords config.Passwords) policy.Problems {
	return storage.CheckNewUser(u.Username, string(u.Password), passwords.Rules())
}

// superUserRole is the one role that is created when it is needed.
const superUserRole = "super_user"

// EnsureRole returns an error for a role that does not exist, and creates super_user. Other roles come from add_role or an
// import: only those know their permissions. No role is "".
func EnsureRole(ctx context.Context, users *storage.Users, role string) error {
	if role == "" {
		return nil
	}
	_, err := users.Role(ctx, role)
	if err == nil || !IsNotFound(err) {
		return err
	}
	if role != superUserRole {
		return fmt.Errorf("no role %q", role)
	}
	_, err = users.AddRole(ctx, storage.Role{ID: superUserRole, Permission: []byte(`{"super_user":true}`)})
	if errors.Is(err, storage.ErrExists) {
		return nil // another server was first
	}
	return err
}

// IsNotFound tells whether the store has answered that something does not exist.
func IsNotFound(err error) bool {
	return errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable)
}
