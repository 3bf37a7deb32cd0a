package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

func (p *program) seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Make the configured clients, users and first keys, and end; running it again changes nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			log := newLogger(cfg.Log, p.stderr)
			return p.withState(cmd.Context(), func(ctx context.Context, s *state) error {
				if err := s.keys.Open(ctx); err != nil {
					return err
				}
				return seed(ctx, s, cfg, log)
			})
		},
	}
	cmd.Flags().BoolVar(&p.dev, "dev", false, "make the user and the clients of the quick start, whose passwords are public")
	return cmd
}

// seed makes what the configuration lists. It is idempotent, and any number of servers may run it at once.
func seed(ctx context.Context, s *state, cfg *config.Config, log *slog.Logger) error {
	for _, u := range cfg.Users {
		if err := seedUser(ctx, s, u, log); err != nil {
			return fmt.Errorf("user %q: %w", u.Username, err)
		}
	}
	return reconcileClients(ctx, s, cfg.Clients, cfg.RemoveClients, log)
}

// seedUser leaves users alone who are there: their passwords are theirs.
func seedUser(ctx context.Context, s *state, u config.User, log *slog.Logger) error {
	_, err := s.store.Users.User(ctx, u.Username)
	if err == nil || !isNotFound(err) {
		return err
	}
	if err := ensureRole(ctx, s, u.Role); err != nil {
		return err
	}
	err = s.store.Users.AddUser(ctx, storage.User{Name: u.Username, Role: u.Role, Active: true}, string(u.Password))
	if errors.Is(err, storage.ErrExists) {
		return nil // another server was quicker
	}
	if err == nil {
		log.Info("user made as configured", "user", u.Username)
	}
	return err
}
