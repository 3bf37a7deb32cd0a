package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/storage"
)

func (p *program) userCommand() *cobra.Command {
	return group("user", "Manage the users",
		p.userAddCommand(),
		p.userListCommand(),
		p.userPasswdCommand(),
		p.userActiveCommand("enable", "Let a user log in again", true),
		p.userActiveCommand("disable", "Keep a user out and end all sessions of that user", false),
		p.userRemoveCommand(),
		p.userImportCommand(),
	)
}

const passwordFileUsage = "`file` that holds the password, - for standard input (default: ask)"

func (p *program) userAddCommand() *cobra.Command {
	var role, passwordFile string
	var disabled bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := p.readSecret(passwordFile, "password")
			if err != nil {
				return err
			}
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				if err := ensureRole(ctx, s, role); err != nil {
					return err
				}
				err := s.store.Users.AddUser(ctx, storage.User{Name: args[0], Role: role, Active: !disabled}, password)
				if errors.Is(err, storage.ErrExists) {
					return fmt.Errorf("user %q is there already", args[0])
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`name` of the user's role, such as super_user (default: none)")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", passwordFileUsage)
	cmd.Flags().BoolVar(&disabled, "disabled", false, "add the user, but let nobody log in as it yet")
	return cmd
}

// superUserRole is the one role that exists from the start.
const superUserRole = "super_user"

// ensureRole makes sure that a user gets no role that does not exist. Other roles than super_user come from add_role or an
// import, for nobody here knows what they permit.
func ensureRole(ctx context.Context, s *state, role string) error {
	if role == "" {
		return nil
	}
	_, err := s.store.Users.Role(ctx, role)
	if err == nil || !isNotFound(err) {
		return err
	}
	if role != superUserRole {
		return fmt.Errorf("no role %q", role)
	}
	_, err = s.store.Users.AddRole(ctx, storage.Role{ID: superUserRole, Permission: []byte(`{"super_user":true}`)})
	if errors.Is(err, storage.ErrExists) {
		return nil // another server was quicker
	}
	return err
}

func (p *program) userListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				list, err := s.store.Users.ListUsers(ctx)
				if err != nil {
					return err
				}
				return p.print(userTable(list))
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func userTable(list []storage.User) table {
	t := table{head: []string{"USER", "ROLE", "SUPER USER", "ACTIVE", "PASSWORD", "CREATED", "UPDATED"}}
	shown := []map[string]any{}
	for _, u := range list {
		t.rows = append(t.rows, []string{
			u.Name, u.Role, yesNo(u.SuperUser), yesNo(u.Active), u.Scheme, stamp(u.Created), stamp(u.Updated),
		})
		shown = append(shown, map[string]any{
			"username": u.Name, "role": u.Role, "super_user": u.SuperUser, "active": u.Active, "password_scheme": u.Scheme,
			"created": u.Created, "updated": u.Updated,
		})
	}
	t.json = shown
	return t
}

func (p *program) userPasswdCommand() *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Set a user's password and end all sessions of that user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := p.readSecret(passwordFile, "new password")
			if err != nil {
				return err
			}
			return p.changeUser(cmd.Context(), args[0], storage.UserChange{Password: &password})
		},
	}
	cmd.Flags().StringVar(&passwordFile, "password-file", "", passwordFileUsage)
	return cmd
}

func (p *program) userActiveCommand(use, short string, active bool) *cobra.Command {
	return &cobra.Command{
		Use:   use + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeUser(cmd.Context(), args[0], storage.UserChange{Active: &active})
		},
	}
}

func (p *program) changeUser(ctx context.Context, name string, change storage.UserChange) error {
	return p.withState(ctx, func(ctx context.Context, s *state) error {
		return notFoundAs(s.store.Users.ChangeUser(ctx, name, change), "no user %q", name)
	})
}

func (p *program) userRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user and end all sessions of that user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				return notFoundAs(s.store.Users.DropUser(ctx, args[0]), "no user %q", args[0])
			})
		},
	}
}
