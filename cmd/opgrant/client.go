package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ory/fosite"
	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) clientCommand() *cobra.Command {
	return group("client", "Manage the clients",
		p.clientAddCommand(),
		p.clientUpdateCommand(),
		p.clientListCommand(),
		p.clientShowCommand(),
		p.clientRemoveCommand(),
		p.clientRotateCommand(),
		p.clientExportCommand(),
		p.clientImportCommand(),
	)
}

func (p *program) clientAddCommand() *cobra.Command {
	flags := &clientFlags{}
	var secretFile string
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Add a client; a secret that is not given is made and shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := &storage.Client{ID: args[0]}
			if err := flags.apply(cmd, client); err != nil {
				return err
			}
			var shown string
			if !client.Public && (secretFile != "" || len(client.JWKS) == 0) {
				secret, made, err := p.newSecret(secretFile)
				if err != nil {
					return err
				}
				hash, err := hashSecret(cmd.Context(), secret)
				if err != nil {
					return err
				}
				client.Secrets = []string{hash}
				if made {
					shown = secret
				}
			}
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				_, err := s.store.Client(ctx, client.ID)
				if err == nil {
					return fmt.Errorf("client %q is there already", client.ID)
				}
				if !isNotFound(err) {
					return err
				}
				if err := s.store.PutClient(ctx, client); err != nil {
					return err
				}
				return p.showSecret(client.ID, shown)
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&flags.public, "public", false, "a client without a secret")
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`file` that holds the secret, - for standard input (default: a secret is made)")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) clientUpdateCommand() *cobra.Command {
	flags := &clientFlags{}
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change what the flags name of a client, and nothing else",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				client, err := findClient(ctx, s, args[0])
				if err != nil {
					return err
				}
				if err := flags.apply(cmd, client); err != nil {
					return err
				}
				return s.store.PutClient(ctx, client)
			})
		},
	}
	flags.register(cmd)
	return cmd
}

func (p *program) clientListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clients",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				list, err := s.store.ListClients(ctx)
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

func (p *program) clientShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all of a client but its secrets, as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
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
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				if err := s.store.RemoveClient(ctx, args[0]); err != nil {
					return notFoundAs(err, "no client %q", args[0])
				}
				// After the removal no new session can begin, so none is missed.
				ended, err := s.store.RevokeClient(ctx, args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "removed, %d sessions ended\n", ended)
				return nil
			})
		},
	}
}

func (p *program) clientRotateCommand() *cobra.Command {
	var secretFile string
	var dropOld bool
	cmd := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Give a client a new secret beside its present one; run it with --drop-old when all have the new one",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dropOld && secretFile != "" {
				return errors.New("--drop-old sets no secret: --secret-file has no meaning with it")
			}
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				client, err := findClient(ctx, s, args[0])
				if err != nil {
					return err
				}
				if client.Public {
					return fmt.Errorf("client %q is public and has no secret", client.ID)
				}
				if dropOld {
					client.Secrets = client.Secrets[:min(1, len(client.Secrets))]
					return s.store.PutClient(ctx, client)
				}
				secret, made, err := p.newSecret(secretFile)
				if err != nil {
					return err
				}
				hash, err := hashSecret(ctx, secret)
				if err != nil {
					return err
				}
				client.Secrets = append([]string{hash}, client.Secrets[:min(1, len(client.Secrets))]...)
				if err := s.store.PutClient(ctx, client); err != nil {
					return err
				}
				if !made {
					secret = ""
				}
				return p.showSecret(client.ID, secret)
			})
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`file` that holds the new secret, - for standard input (default: a secret is made)")
	cmd.Flags().BoolVar(&dropOld, "drop-old", false, "forget the secret before the present one")
	p.outputFlag(cmd)
	return cmd
}

func (p *program) newSecret(path string) (secret string, made bool, err error) {
	if path == "" {
		return authserver.NewSecret(), true, nil
	}
	if secret, err = p.readSecret(path, "client secret"); err != nil {
		return "", false, err
	}
	return secret, false, policy.SecretProblems(secret).Err()
}

func hashSecret(ctx context.Context, secret string) (string, error) {
	hash, err := authserver.Secrets{}.Hash(ctx, []byte(secret))
	return string(hash), err
}

// showSecret prints a secret that was made here: the store has its hash alone.
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

// findClient returns a copy that may be changed.
func findClient(ctx context.Context, s *state, id string) (*storage.Client, error) {
	client, err := s.store.Client(ctx, id)
	if err != nil {
		return nil, notFoundAs(err, "no client %q", id)
	}
	changed := *client
	changed.Secrets = slices.Clone(client.Secrets)
	return &changed, nil
}

func withoutSecrets(client *storage.Client) *storage.Client {
	shown := *client
	shown.Secrets = nil
	return &shown
}

func isNotFound(err error) bool {
	return errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable)
}

// notFoundAs says in the words of the command what is not there; any other error stays as it is.
func notFoundAs(err error, format string, args ...any) error {
	if isNotFound(err) {
		return fmt.Errorf(format, args...)
	}
	return err
}
