package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) userCommand() *cobra.Command {
	return group("user", "Manage users",
		p.userAddCommand(),
		p.userListCommand(),
		p.userPasswdCommand(),
		p.userEnableCommand(),
		p.userDisableCommand(),
		p.userRemoveCommand(),
		p.userImportCommand(),
	)
}

const passwordFileUsage = "`file` with the password, - for standard input (default: prompt)"

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
			cfg, err := p.load()
			if err != nil {
				return err
			}
			if err := server.CheckUser(config.User{Username: args[0], Password: config.Secret(password)}, cfg.Passwords).Err(); err != nil {
				return err
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				if err := server.EnsureRole(ctx, s.Store.Users, role); err != nil {
					return err
				}
				err := s.Store.Users.AddUser(ctx, storage.User{Name: args[0], Role: role, Active: !disabled}, password)
				if errors.Is(err, storage.ErrExists) {
					return fmt.Errorf("user %q already exists", args[0])
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`name` of the user's role, such as super_user (default: none)")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", passwordFileUsage)
	cmd.Flags().BoolVar(&disabled, "disabled", false, "add the user disabled")
	return cmd
}

func (p *program) userPasswdCommand() *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Set a user's password and end the user's sessions",
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

func (p *program) userEnableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enable NAME",
		Short: "Allow a user to log in again",
		Long: `Allow a user to log in again. The sessions that the user had when it was disabled go on, unless they were ended
meanwhile.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeUser(cmd.Context(), args[0], storage.UserChange{Active: new(true)})
		},
	}
}

func (p *program) userDisableCommand() *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use:   "disable NAME",
		Short: "Refuse a user's logins and tokens until the user is enabled again",
		Long: `Refuse a user's logins and tokens until the user is enabled again. With --end-sessions all sessions end for good: after
"user enable" the user has to log in anew.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeUser(cmd.Context(), args[0], storage.UserChange{Active: new(false), EndSessions: end})
		},
	}
	cmd.Flags().BoolVar(&end, "end-sessions", false, "also end all sessions of the user")
	return cmd
}

func (p *program) changeUser(ctx context.Context, name string, change storage.UserChange) error {
	return p.withServer(ctx, func(ctx context.Context, s *opgrant.Server) error {
		return notFoundAs(s.Store.Users.ChangeUser(ctx, name, change), "no user %q", name)
	})
}

func (p *program) userRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user and end the user's sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				return notFoundAs(s.Store.Users.DropUser(ctx, args[0]), "no user %q", args[0])
			})
		},
	}
}
