package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) clientCommand() *cobra.Command {
	return group("client", "Manage clients",
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

// findClient returns a copy that may be changed.
func findClient(ctx context.Context, s *opgrant.Server, id string) (*storage.Client, error) {
	client, err := s.Store.Client(ctx, id)
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
