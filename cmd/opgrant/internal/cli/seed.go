package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
)

func (p *program) seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Create the configured clients, users and signing keys, then exit (idempotent)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			log := server.NewLogger(cfg.Log, p.Stderr)
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				return server.Seed(ctx, s, cfg, log)
			})
		},
	}
	cmd.Flags().BoolVar(&p.dev, "dev", false, "create the user and the clients of serve --dev, whose passwords are public")
	return cmd
}
