package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/compat/harper"
	"github.com/opgrant/opgrant/storage"
)

// importer writes what was read from another server, and reports it.
type importer struct {
	server *opgrant.Server
	dryRun bool
	report importReport
}

func (i *importer) importKey(ctx context.Context, pair *keyPair, verifyOnly bool, until time.Time) error {
	id, err := keys.IDOf(pair.public)
	if err != nil {
		return err
	}
	list, err := i.server.Keys.List(ctx)
	if err != nil {
		return err
	}
	outcome := storage.ImportAdded
	if at := slices.IndexFunc(list, func(k keys.Info) bool { return k.ID == id }); at >= 0 {
		found := list[at]
		if found.Stage == "revoked" {
			return fmt.Errorf("%w: %s", keys.ErrRevoked, id) // in a dry run too
		}
		outcome = storage.ImportUnchanged
		if found.Imported && !until.IsZero() && !until.Equal(found.Until) {
			outcome = storage.ImportUpdated
		}
	}
	if !until.IsZero() && !until.After(time.Now()) {
		return keys.ErrPast
	}
	i.report.count("keys", outcome)
	if i.dryRun || outcome == storage.ImportUnchanged {
		return nil
	}
	if err := i.server.Keys.Open(ctx); err != nil {
		return err
	}
	_, _, err = i.server.Keys.Import(ctx, pair.private, pair.public, verifyOnly, until)
	return err
}

// importRoles adds the roles that do not exist yet.
func (i *importer) importRoles(ctx context.Context, roles []harper.Role) error {
	for _, role := range roles {
		found, err := i.server.Store.Users.Role(ctx, role.ID)
		switch {
		case err == nil && bytes.Equal(found.Permission, role.Permission):
			i.report.count("roles", storage.ImportUnchanged)
			continue
		case err == nil:
			i.report.count("roles", storage.ImportKept)
			continue
		case !server.IsNotFound(err):
			return err
		}
		if !i.dryRun {
			if _, err := i.server.Store.Users.AddRole(ctx, storage.Role{ID: role.ID, Name: role.Name, Permission: role.Permission}); err != nil {
				return fmt.Errorf("role %q: %w", role.ID, err)
			}
		}
		i.report.count("roles", storage.ImportAdded)
	}
	return nil
}

func (i *importer) importUsers(ctx context.Context, users []harper.User) error {
	list := make([]storage.Import, 0, len(users))
	for _, u := range users {
		list = append(list, storage.Import{
			User: storage.User{Name: u.Name, Role: u.Role, Active: u.Active, Scheme: u.Function, Created: u.Created, Updated: u.Updated},
			Hash: u.Hash, RefreshHash: u.RefreshHash,
		})
	}
	results, err := i.server.Store.Users.ImportUsers(ctx, list, i.dryRun)
	if err != nil {
		return err
	}
	for _, r := range results {
		i.report.count("users", r.Outcome)
		if r.Err != nil {
			i.report.Refused = append(i.report.Refused, refusedUser{Name: r.Name, Reason: r.Err.Error()})
		}
	}
	return nil
}
