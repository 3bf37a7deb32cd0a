package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) clientAddCommand() *cobra.Command {
	flags := &clientFlags{}
	var secretFile string
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Add a client. A secret that is not given is generated and shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := &storage.Client{ID: args[0]}
			if err := flags.apply(cmd, client); err != nil {
				return err
			}
			var shown string
			if !client.Public && (secretFile != "" || len(client.JWKS) == 0) {
				secret, err := p.newSecret(cmd.Context(), secretFile)
				if err != nil {
					return err
				}
				client.Secrets = []string{secret.hash}
				shown = secret.generated
			}
			if err := client.Validate(); err != nil {
				return err
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				_, err := s.Store.Client(ctx, client.ID)
				if err == nil {
					return fmt.Errorf("client %q already exists", client.ID)
				}
				if !server.IsNotFound(err) {
					return err
				}
				if err := s.Store.PutClient(ctx, client); err != nil {
					return err
				}
				return p.showSecret(client.ID, shown)
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&flags.public, "public", false, "a client without a secret")
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`file` with the secret, - for standard input (default: generate one)")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) clientUpdateCommand() *cobra.Command {
	flags := &clientFlags{}
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change the settings of a client that flags are given for",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				client, err := findClient(ctx, s, args[0])
				if err != nil {
					return err
				}
				if err := flags.apply(cmd, client); err != nil {
					return err
				}
				return s.Store.PutClient(ctx, client)
			})
		},
	}
	flags.register(cmd)
	return cmd
}
