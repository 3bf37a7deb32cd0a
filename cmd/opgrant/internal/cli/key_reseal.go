package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) keyResealCommand() *cobra.Command {
	var acceptUnsealed bool
	cmd := &cobra.Command{
		Use:   "reseal",
		Short: "Encrypt the stored signing keys under the present secret",
		Long: `Encrypt the stored signing keys under the secret of the configuration (secret, OPGRANT_SECRET_FILE).

To change the secret: set the new one as secret and the old one in other_secrets, restart every server, run this command, and
then remove other_secrets.

To set a secret for the first time, run this command with the secret and --accept-unsealed, and restart every server with the
secret. Without the flag keys that are not encrypted are refused, here and by servers that have a secret: anyone who can write to
Redis could have put them there. Servers without the secret go on with the keys that they have loaded until they end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				resealed, err := s.Store.Keys.Reseal(ctx, acceptUnsealed)
				switch {
				case errors.Is(err, storage.ErrNoSecret):
					return errors.New("no secret is set: set secret or OPGRANT_SECRET_FILE")
				case err != nil:
					return notFoundAs(err, "there are no signing keys yet")
				case resealed:
					p.printf("the signing keys are encrypted under the present secret\n")
				default:
					p.printf("unchanged: the signing keys were encrypted under the present secret already\n")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&acceptUnsealed, "accept-unsealed", false, "take keys that are not encrypted, where a secret is set for the first time")
	return cmd
}
