package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
)

func (p *program) clientRotateCommand() *cobra.Command {
	var secretFile string
	var dropOld bool
	cmd := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Give a client a second secret. With --drop-old, remove the older one",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dropOld && secretFile != "" {
				return errors.New("--drop-old sets no secret and cannot be used with --secret-file")
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				client, err := findClient(ctx, s, args[0])
				if err != nil {
					return err
				}
				if client.Public {
					return fmt.Errorf("client %q is public and has no secret", client.ID)
				}
				newest := client.Secrets[:min(1, len(client.Secrets))]
				if dropOld {
					client.Secrets = newest
					return s.Store.PutClient(ctx, client)
				}
				secret, err := p.newSecret(ctx, secretFile)
				if err != nil {
					return err
				}
				client.Secrets = append([]string{secret.hash}, newest...)
				if err := s.Store.PutClient(ctx, client); err != nil {
					return err
				}
				return p.showSecret(client.ID, secret.generated)
			})
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`file` with the new secret, - for standard input (default: generate one)")
	cmd.Flags().BoolVar(&dropOld, "drop-old", false, "remove the older secret")
	p.outputFlag(cmd)
	return cmd
}

// clientSecret is a new secret of a client.
type clientSecret struct {
	hash      string
	generated string // the secret itself, empty when it was read from a file
}

// newSecret reads a secret from a file, or generates one when there is no path.
func (p *program) newSecret(ctx context.Context, path string) (clientSecret, error) {
	generated := ""
	secret := ""
	if path == "" {
		generated = authserver.NewSecret()
		secret = generated
	} else {
		var err error
		if secret, err = p.readSecret(path, "client secret"); err != nil {
			return clientSecret{}, err
		}
	}
	hash, err := authserver.Secrets{}.Hash(ctx, []byte(secret))
	return clientSecret{hash: string(hash), generated: generated}, err
}

// showSecret prints a secret that was generated here. The store has only its hash.
func (p *program) showSecret(id, secret string) error {
	if secret == "" {
		return nil
	}
	return p.print(table{
		head: []string{"CLIENT", "SECRET (shown once)"},
		rows: [][]string{{id, secret}},
		json: map[string]string{"client_id": id, "client_secret": secret},
	})
}
