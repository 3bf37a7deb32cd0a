package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const opImportRoles = "import roles"

// ImportRoles stores roles of another server, in a few round trips, and returns the result for each. A role that is refused does
// not stop the others. With dryRun it returns what it would do, and changes nothing. A role that was imported and not changed here
// follows its source; one that was added or changed here is kept, until it is the same as at the source.
func (u *Users) ImportRoles(ctx context.Context, roles []Role, dryRun bool) ([]ImportResult, error) {
	results := make([]ImportResult, len(roles))
	if len(roles) == 0 {
		return results, nil
	}
	ids := make([]string, len(roles))
	for i, r := range roles {
		ids[i] = r.ID
	}
	found, err := u.rawRoles(ctx, opImportRoles, ids)
	if err != nil {
		return nil, err
	}
	if err := u.db.CheckEpoch(ctx, opImportRoles); err != nil { // an emptied Redis must not be filled again unnoticed
		return nil, err
	}
	var calls []redisdb.Call
	var written []*ImportResult
	seen := make(map[string]bool, len(roles))
	for i, role := range roles {
		results[i].Name = role.ID
		if seen[role.ID] {
			results[i].Outcome, results[i].Err = ImportRefused, errTwice
			continue
		}
		seen[role.ID] = true
		to, super, outcome, err := planRole(role, found[i])
		results[i].Outcome, results[i].Err = outcome, err
		if to != "" {
			calls = append(calls, u.roleCall(role.ID, found[i], to, super))
			written = append(written, &results[i])
		}
	}
	if dryRun || len(calls) == 0 {
		return results, nil
	}
	replies, err := u.db.EvalAll(ctx, opImportRoles, calls, nil)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		if reply != int64(1) {
			written[i].Outcome = ImportKept // the role was changed here meanwhile
		}
	}
	return results, nil
}

// planRole decides what to do with one role. found is the stored record, empty where there is none. to is what to write, empty for
// nothing.
func planRole(source Role, found string) (to string, super bool, outcome ImportOutcome, err error) {
	if err := checkName(source.ID); err != nil || source.ID == "" {
		return "", false, ImportRefused, errors.Join(err, emptyID(source.ID))
	}
	at := now()
	r := &roleRecord{
		Version: jsonVersion, ID: source.ID, Name: source.Name, Permission: string(source.Permission),
		Created: timeOr(source.Created, at), Updated: timeOr(source.Updated, at),
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if _, _, err := r.encode(); err != nil {
		return "", false, ImportRefused, err
	}
	r.Imported, outcome = r.fingerprint(), ImportAdded
	if found != "" {
		before, err := decodeRole(found)
		if err != nil {
			return "", false, ImportRefused, err
		}
		switch {
		case before.Imported == r.Imported:
			return "", false, ImportUnchanged, nil
		case before.Imported == "" && before.fingerprint() != r.Imported:
			return "", false, ImportKept, nil
		case before.Imported == "": // the same on both sides: from now on it follows the source
			before.Imported, outcome = r.Imported, ImportUnchanged
		default:
			before.Name, before.Permission, before.Imported, before.Updated = r.Name, r.Permission, r.Imported, r.Updated
			outcome = ImportUpdated
		}
		r = before
	}
	super, to, err = r.encode()
	return to, super, outcome, err
}

func emptyID(id string) error {
	if id == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	return nil
}

// fingerprint is the same for two roles with the same name and the same permission, whose white space does not count.
func (r *roleRecord) fingerprint() string {
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(r.Permission)); err != nil {
		return ""
	}
	return redisdb.Hash(fmt.Sprintf("%q %s", r.Name, &compact))[:11]
}

// rawRoles returns roles as they are stored, empty where there is none.
func (u *Users) rawRoles(ctx context.Context, op string, ids []string) ([]string, error) {
	var values []any
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		values, err = u.db.Client.HMGet(ctx, u.db.Keys.Roles(), ids...).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	raw := make([]string, len(ids))
	for i, v := range values {
		raw[i], _ = v.(string)
	}
	return raw, nil
}
