package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) clientListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				list, err := s.Store.ListClients(ctx)
				if err != nil {
					return err
				}
				return p.print(clientTable(list))
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func clientTable(list []*storage.Client) table {
	t := table{head: []string{"CLIENT", "NAME", "KIND", "PROFILE", "REFRESH", "GRANTS", "SECRETS"}}
	shown := []*storage.Client{}
	for _, c := range list {
		kind := "confidential"
		if c.Public {
			kind = "public"
		}
		t.rows = append(t.rows, []string{
			c.ID, c.Name, kind, orDefault(c.Profile, policy.ProfileStandard), orDefault(c.Refresh, policy.RefreshGrace),
			strings.Join(mapStrings(c.Grants, policy.ShortGrant), ","), strconv.Itoa(len(c.Secrets)),
		})
		shown = append(shown, withoutSecrets(c))
	}
	t.json = shown
	return t
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (p *program) clientShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a client as JSON, without its secrets",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				client, err := findClient(ctx, s, args[0])
				if err != nil {
					return err
				}
				return p.printJSON(withoutSecrets(client))
			})
		},
	}
}

func (p *program) clientRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a client and end its sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				if err := s.Store.RemoveClient(ctx, args[0]); err != nil {
					return notFoundAs(err, "no client %q", args[0])
				}
				// No session can begin after the removal, so this ends all of them.
				ended, err := s.Store.RevokeClient(ctx, args[0])
				if err != nil {
					return err
				}
				p.printf("removed, %d sessions ended\n", ended)
				return nil
			})
		},
	}
}
