package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

// reconcileClients makes the stored clients what the list says. It writes nothing that is right already, so that any
// number of servers may do it at once. Clients that are not in the list are reported, and removed only when remove is set.
func reconcileClients(ctx context.Context, s *state, list []config.Client, remove bool, log *slog.Logger) error {
	for _, entry := range list {
		if err := reconcileClient(ctx, s, entry, log); err != nil {
			return fmt.Errorf("client %q: %w", entry.ID, err)
		}
	}
	if len(list) == 0 {
		return nil // the registry is kept by commands
	}
	present, err := s.store.ListClients(ctx)
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
		if err := s.store.RemoveClient(ctx, client.ID); err != nil && !isNotFound(err) {
			return err
		}
		ended, err := s.store.RevokeClient(ctx, client.ID)
		if err != nil {
			return err
		}
		log.Info("client removed: it has left the configuration", "client", client.ID, "sessions_ended", ended)
	}
	return nil
}

func reconcileClient(ctx context.Context, s *state, entry config.Client, log *slog.Logger) error {
	want := clientRecord(entry)
	present, err := s.store.Client(ctx, entry.ID)
	if err != nil && !isNotFound(err) {
		return err
	}
	exists := err == nil
	if exists && knowsSecret(ctx, present, entry) {
		// Also keeps a second secret that rotate-secret has added.
		want.Secrets = present.Secrets
	} else if entry.Secret != "" {
		hash, err := hashSecret(ctx, string(entry.Secret))
		if err != nil {
			return err
		}
		want.Secrets = []string{hash}
	}
	if exists && sameClient(want, present) {
		return nil
	}
	if err := s.store.PutClient(ctx, want); err != nil {
		return err
	}
	if exists {
		log.Info("client changed to be as configured", "client", entry.ID)
	} else {
		log.Info("client made as configured", "client", entry.ID)
	}
	return nil
}

// knowsSecret says whether the configured secret is one that the stored client already has.
func knowsSecret(ctx context.Context, present *storage.Client, entry config.Client) bool {
	return entry.Secret != "" && slices.ContainsFunc(present.Secrets, func(hash string) bool {
		return authserver.Secrets{}.Compare(ctx, []byte(hash), []byte(entry.Secret)) == nil
	})
}

func clientRecord(c config.Client) *storage.Client {
	record := &storage.Client{
		ID: c.ID, Name: c.Name, Public: c.Public(),
		Grants: c.Grants, Scopes: c.Scopes, Default: c.DefaultScopes, Audience: c.Audience,
		Profile: c.Profile, Algorithm: c.Algorithm, Refresh: c.Refresh,
		AccessTTL: storage.Duration(c.AccessTTL), RefreshTTL: storage.Duration(c.RefreshTTL), MaxSessionTTL: storage.Duration(c.MaxSessionTTL),
		SessionsPerUser: c.SessionsPerUser, Introspect: c.Introspect,
	}
	if c.Grace != nil {
		record.Grace = new(storage.Duration(*c.Grace))
	}
	if c.JWKS != "" {
		record.JWKS = []byte(c.JWKS)
	}
	return record
}

// sameClient compares records as they are stored, where an empty list and none are the same.
func sameClient(a, b *storage.Client) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}
