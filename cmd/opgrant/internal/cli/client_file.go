package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) clientExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export [ID…]",
		Short: "Write clients as JSON with the hashes of their secrets, for client import",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				list := []*storage.Client{}
				for _, id := range args {
					client, err := findClient(ctx, s, id)
					if err != nil {
						return err
					}
					list = append(list, client)
				}
				if len(args) == 0 {
					all, err := s.Store.ListClients(ctx)
					if err != nil {
						return err
					}
					list = append(list, all...)
				}
				return p.printJSON(list)
			})
		},
	}
}

func (p *program) clientImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Create or replace clients from a file that client export wrote (- is standard input)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := p.Stdin
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			decoder := json.NewDecoder(in)
			decoder.DisallowUnknownFields()
			var list []*storage.Client
			if err := decoder.Decode(&list); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, client := range list {
				if err := client.Validate(); err != nil {
					return err
				}
			}
			return p.withServer(cmd.Context(), func(ctx context.Context, s *opgrant.Server) error {
				var added, changed, unchanged int
				for _, client := range list {
					present, err := s.Store.Client(ctx, client.ID)
					switch {
					case err == nil && server.SameClient(present, client):
						unchanged++
						continue
					case err == nil:
						changed++
					case server.IsNotFound(err):
						added++
					default:
						return err
					}
					if err := s.Store.PutClient(ctx, client); err != nil {
						return err
					}
				}
				p.printf("%d added, %d changed, %d unchanged\n", added, changed, unchanged)
				return nil
			})
		},
	}
}
