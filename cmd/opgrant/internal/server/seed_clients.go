package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

// seedClients makes the stored clients equal to the list. It writes only what differs, so that any number of servers may do it
// at once. Clients that are not in the list are logged, and removed only when remove is set.
func seedClients(ctx context.Context, store *storage.Store, list []config.Client, remove bool, log *slog.Logger) error {
	for _, entry := range list {
		if err := seedClient(ctx, store, entry, log); err != nil {
			return fmt.Errorf("client %q: %w", entry.ID, err)
		}
	}
	if len(list) == 0 {
		return nil // the clients are managed by commands
	}
	present, err := store.ListClients(ctx)
	if err != nil {
		return err
	}
	for _, client := range present {
		if slices.ContainsFunc(list, func(c config.Client) bool { return c.ID == client.ID }) {
			continue
		}
		if !remove {
			log.Warn("client is not in the configuration; remove_clients would remove it", "client", client.ID)
			continue
		}
		if err := store.RemoveClient(ctx, client.ID); err != nil && !IsNotFound(err) {
			return err
		}
		ended, err := store.RevokeClient(ctx, client.ID)
		if err != nil {
			return err
		}
		log.Info("client removed: it is no longer in the configuration", "client", client.ID, "sessions_ended", ended)
	}
	return nil
}

// checkOperationsClient refuses a list of clients without the one by which the operations API logs in: every login there would be
// an error.
func checkOperationsClient(cfg *config.Config) error {
	if cfg.Compat.Disabled || len(cfg.Clients) == 0 || slices.ContainsFunc(cfg.Clients, func(c config.Client) bool { return c.ID == cfg.Compat.Client }) {
		return nil
	}
	return fmt.Errorf("compat.client: %q is not in clients, so nobody could log in by the operations API: add it to clients, or set compat.disabled",
		cfg.Compat.Client)
}

// seedOperationsClient creates the client by which the operations API logs in, where clients are managed by commands and there is
// none. One that exists stays as it is.
func seedOperationsClient(ctx context.Context, store *storage.Store, cfg *config.Config, log *slog.Logger) error {
	if cfg.Compat.Disabled || len(cfg.Clients) > 0 {
		return nil
	}
	_, err := store.Client(ctx, cfg.Compat.Client)
	if err == nil || !IsNotFound(err) {
		return err
	}
	if err := store.PutClient(ctx, clientRecord(config.OperationsClient(cfg.Compat.Client))); err != nil {
		return fmt.Errorf("client %q: %w", cfg.Compat.Client, err)
	}
	log.Info("client created: the operations API logs in by it", "client", cfg.Compat.Client)
	return nil
}

func seedClient(ctx context.Context, store *storage.Store, entry config.Client, log *slog.Logger) error {
	want := clientRecord(entry)
	present, err := store.Client(ctx, entry.ID)
	if err != nil && !IsNotFound(err) {
		return err
	}
	exists := err == nil
	if exists && hasSecret(ctx, present, entry) {
		want.Secrets = present.Secrets // also keeps a second secret that rotate-secret has added
	} else if entry.Secret != "" {
		hash, err := authserver.Secrets{}.Hash(ctx, []byte(entry.Secret))
		if err != nil {
			return err
		}
		want.Secrets = []string{string(hash)}
	}
	if exists && SameClient(want, present) {
		return nil
	}
	if err := store.PutClient(ctx, want); err != nil {
		return err
	}
	if exists {
		log.Info("client updated as configured", "client", entry.ID)
	} else {
		log.Info("client created as configured", "client", entry.ID)
	}
	return nil
}

// hasSecret tells whether the configured secret is one of the stored client's.
func hasSecret(ctx context.Context, present *storage.Client, entry config.Client) bool {
	return entry.Secret != "" && slices.ContainsFunc(present.Secrets, func(hash string) bool {
		return authserver.Secrets{}.Compare(ctx, []byte(hash), []byte(entry.Secret)) == nil
	})
}
