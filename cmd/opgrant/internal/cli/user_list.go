package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) userListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				list, err := s.Store.Users.ListUsers(ctx)
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
