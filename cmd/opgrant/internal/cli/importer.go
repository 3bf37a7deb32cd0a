package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat/harper"
	"github.com/opgrant/opgrant/storage"
)

// importer writes what was read from another server, and reports it.
type importer struct {
	server  *opgrant.Server
	options harperImport
	shown   *progress
}

// run plans everything before it writes anything, so that a dry run reports what the import reports. Then it writes what lowers
// rights before what raises them, and the key last: no token of the old server is accepted before the users are as they are there.
func (i *importer) run(ctx context.Context, export *harper.Export, pair *keyPair) (importReport, error) {
	key, err := i.planKey(ctx, pair)
	if err != nil {
		return importReport{}, err
	}
	i.shown.set("comparing %s users with the store", grouped(len(export.Users)))
	report, accepted, err := i.importRows(ctx, export, true)
	if err != nil {
		return report, err
	}
	gone, err := i.findGone(ctx, export, accepted, &report)
	if err != nil {
		return report, err
	}
	if i.options.dryRun {
		i.reportGone(gone, &report)
		i.countKey(key, &report)
		return report, nil
	}
	notes := report.Notes
	report, _, err = i.importRows(ctx, export, false)
	report.Notes = notes
	if err != nil {
		return report, err
	}
	if err := i.removeGone(ctx, gone, &report); err != nil {
		return report, err
	}
	i.countKey(key, &report)
	return report, i.writeKey(ctx, key)
}

// importRows imports roles and users, or with dry tells what it would do. accepted has the user of each row that will be in the
// store as it is at the source.
func (i *importer) importRows(ctx context.Context, export *harper.Export, dry bool) (importReport, map[string]*storage.User, error) {
	report := importReport{DryRun: i.options.dryRun}
	for _, r := range export.Refused {
		what := reportUsers
		switch {
		case r.Role:
			what = reportRoles
		case r.Name == "":
			what = reportRows
		}
		report.refuse(what, r.Row, r.Name, r.Err)
	}
	lower, raise := splitRoles(export.Roles, &report)
	if err := i.importRoles(ctx, lower, dry, &report); err != nil {
		return report, nil, err
	}
	accepted, err := i.importUsers(ctx, export.Users, dry, &report)
	if err != nil {
		return report, nil, err
	}
	return report, accepted, i.importRoles(ctx, raise, dry, &report)
}

// splitRoles returns the roles that do not make super users, and those that do. Roles that come twice are refused.
func splitRoles(roles []harper.Role, report *importReport) (lower, raise []harper.Role) {
	seen := make(map[string]harper.Row, len(roles))
	for _, r := range roles {
		if first, twice := seen[r.ID]; twice {
			report.refuse(reportRoles, r.Row, r.ID, comesTwice(first))
			continue
		}
		seen[r.ID] = r.Row
		var members map[string]json.RawMessage
		if json.Unmarshal(r.Permission, &members) == nil && bytes.Equal(bytes.TrimSpace(members["super_user"]), []byte("true")) {
			raise = append(raise, r)
		} else {
			lower = append(lower, r)
		}
	}
	return lower, raise
}

func comesTwice(first harper.Row) error { return fmt.Errorf("comes twice: first in %s", first) }

func (i *importer) importRoles(ctx context.Context, roles []harper.Role, dry bool, report *importReport) error {
	list := make([]storage.Role, len(roles))
	for at, r := range roles {
		list[at] = storage.Role{ID: r.ID, Name: r.Name, Permission: r.Permission, Created: r.Created, Updated: r.Updated}
	}
	results, err := i.server.Store.Users.ImportRoles(ctx, list, dry)
	if err != nil {
		return stopped("roles", 0, len(roles), dry, err)
	}
	for at, r := range results {
		if r.Err != nil {
			report.refuse(reportRoles, roles[at].Row, r.Name, r.Err)
		} else {
			report.count(reportRoles, r.Outcome)
		}
	}
	return nil
}

func (i *importer) importUsers(ctx context.Context, users []harper.User, dry bool, report *importReport) (map[string]*storage.User, error) {
	list := make([]storage.Import, 0, len(users))
	rows := make([]harper.Row, 0, len(users))
	seen := make(map[string]harper.Row, len(users))
	for _, u := range users {
		if first, twice := seen[u.Name]; twice {
			report.refuse(reportUsers, u.Row, u.Name, comesTwice(first))
			continue
		}
		seen[u.Name] = u.Row
		rows = append(rows, u.Row)
		list = append(list, storage.Import{
			User: storage.User{Name: u.Name, Role: u.Role, Active: u.Active, Scheme: u.Function, Created: u.Created, Updated: u.Updated},
			Hash: u.Hash, RefreshHash: u.RefreshHash, Follows: true,
		})
	}
	results, err := importInParts(ctx, i.server, list, dry, i.shown)
	if err != nil {
		return nil, err
	}
	accepted := make(map[string]*storage.User, len(list))
	for at, r := range results {
		switch {
		case r.Err != nil:
			report.refuse(reportUsers, rows[at], r.Name, r.Err)
		default:
			report.count(reportUsers, r.Outcome)
			if r.Outcome != storage.ImportKept {
				accepted[r.Name] = &list[at].User
			}
		}
	}
	return accepted, nil
}

// importInParts is ImportUsers with progress.
func importInParts(ctx context.Context, s *opgrant.Server, list []storage.Import, dry bool, shown *progress) ([]storage.ImportResult, error) {
	const part = 300
	results := make([]storage.ImportResult, 0, len(list))
	for from := 0; from < len(list); from += part {
		r, err := s.Store.Users.ImportUsers(ctx, list[from:min(from+part, len(list))], dry)
		if err != nil {
			return nil, stopped("users", from, len(list), dry, err)
		}
		results = append(results, r...)
		if !dry {
			shown.set("imported %s of %s users", grouped(len(results)), grouped(len(list)))
		}
	}
	return results, nil
}

// stopped says how far an import came.
func stopped(what string, done, total int, dry bool, err error) error {
	if dry || errors.Is(err, context.Canceled) && done == 0 {
		return err
	}
	return fmt.Errorf("stopped after %s of %s %s, before the keys; run it again: %w", grouped(done), grouped(total), what, err)
}
