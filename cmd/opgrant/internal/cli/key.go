package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

func (p *program) keyCommand() *cobra.Command {
	return group("key", "Manage signing keys",
		p.keyListCommand(),
		p.keyRotateCommand(),
		p.keyRevokeCommand(),
		p.keyImportCommand(),
		p.keyExportCommand(),
		p.keyResealCommand(),
	)
}

// withKeys is withServer with the keys loaded, and created where there are none.
func (p *program) withKeys(ctx context.Context, run func(context.Context, *keys.Set) error) error {
	return p.withServer(ctx, func(ctx context.Context, s *opgrant.Server) error {
		if err := s.Keys.Open(ctx); err != nil {
			return err
		}
		return run(ctx, s.Keys)
	})
}

func (p *program) keyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the signing keys, newest first, and the revoked ones",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withKeys(cmd.Context(), func(ctx context.Context, set *keys.Set) error {
				list, err := set.List(ctx)
				if err != nil {
					return err
				}
				t := table{head: []string{"KEY", "ALGORITHM", "STAGE", "CREATED", "SIGNS FROM", "PUBLISHED UNTIL", "IMPORTED", "LAST DAY"}, json: list}
				for _, k := range list {
					t.rows = append(t.rows, []string{
						k.ID, k.Algorithm, k.Stage, stamp(k.Created), stamp(k.Activates), stamp(k.Ends), yesNo(k.Imported), stamp(k.Until),
					})
				}
				return p.print(t)
			})
		},
	}
	p.outputFlag(cmd)
	return cmd
}

func (p *program) keyRotateCommand() *cobra.Command {
	var algorithm string
	var immediately bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Publish a new key, which signs when every verifier has had time to fetch it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withKeys(cmd.Context(), func(ctx context.Context, set *keys.Set) error {
				id, err := set.Rotate(ctx, algorithm, immediately)
				if err != nil {
					return err
				}
				fmt.Fprintln(p.Stdout, id)
				return nil
			})
		},
	}
	cmd.Flags().Var(newChoice(&algorithm, policy.RS256, policy.ES256, policy.EdDSA), "algorithm", "of the new key")
	cmd.Flags().BoolVar(&immediately, "now", false, "sign with it immediately; verifiers with a cached key set may refuse its first tokens. After a leak use key revoke")
	return cmd
}

func (p *program) keyExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the public keys as a JSON Web Key Set",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withKeys(cmd.Context(), func(_ context.Context, set *keys.Set) error {
				document, _, err := set.Document()
				if err != nil {
					return err
				}
				fmt.Fprintln(p.Stdout, string(document))
				return nil
			})
		},
	}
}
