package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/config"
)

// prepare makes a reachable Redis ready to serve from. Its order matters: nothing is written to a Redis that strict refuses, and
// nothing is created for signing keys that cannot be opened.
func prepare(ctx context.Context, s *opgrant.Server, cfg *config.Config, log *slog.Logger, check bool) error {
	if check {
		if err := checkRedis(ctx, s, cfg, log); err != nil {
			return err
		}
	}
	if err := s.Keys.Open(ctx); err != nil {
		return err
	}
	return seed(ctx, s, cfg, log)
}

// checkRedis warns of settings that endanger sessions, keys or accounts. With strict they are an error.
func checkRedis(ctx context.Context, s *opgrant.Server, cfg *config.Config, log *slog.Logger) error {
	warnings, err := s.Store.CheckServer(ctx)
	if err != nil {
		return err
	}
	if cfg.Strict && len(warnings) > 0 {
		return fmt.Errorf("strict: %s", strings.Join(warnings, "; "))
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	return nil
}

// Seed creates the configured clients, users and signing keys.
func Seed(ctx context.Context, s *opgrant.Server, cfg *config.Config, log *slog.Logger) error {
	if err := s.Keys.Open(ctx); err != nil {
		return err
	}
	return seed(ctx, s, cfg, log)
}

// seed is idempotent, and any number of servers may run it at once.
func seed(ctx context.Context, s *opgrant.Server, cfg *config.Config, log *slog.Logger) error {
	for _, u := range cfg.Users {
		if err := seedUser(ctx, s.Store.Users, u, log); err != nil {
			return fmt.Errorf("user %q: %w", u.Username, err)
		}
	}
	if err := seedClients(ctx, s.Store, cfg.Clients, cfg.RemoveClients, log); err != nil {
		return err
	}
	return seedOperationsClient(ctx, s.Store, cfg, log)
}
