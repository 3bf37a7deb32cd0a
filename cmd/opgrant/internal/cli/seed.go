package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) seedCommand() *cobra.Command {
	var init bool
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
			if init {
				if err := p.initIfNew(cmd.Context()); err != nil {
					return err
				}
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				return server.Seed(ctx, s, cfg, log)
			})
		},
	}
	cmd.Flags().BoolVar(&p.dev, "dev", false, "create the user and the clients of serve --dev, whose passwords are public")
	cmd.Flags().BoolVar(&init, "init", false, "first create the store in an empty Redis, as `store init` does; for stacks that may be thrown away")
	return cmd
}

// initIfNew is store init, without an error when there is a store.
func (p *program) initIfNew(ctx context.Context) error {
	return p.withStore(ctx, func(ctx context.Context, s *opgrant.Server) error {
		err := s.Store.Init(ctx)
		if errors.Is(err, storage.ErrInitialised) {
			return nil
		}
		return p.created(err, "store created")
	})
}
