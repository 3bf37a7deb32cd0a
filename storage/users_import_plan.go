package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// planImport decides what to do with one user. found is the stored record, empty where there is none, and mark that of a user who
// was dropped. The write is nil when nothing is to be written.
func planImport(c Import, found, mark string) (*importWrite, ImportOutcome, error) {
	r, err := importRecord(c)
	if err != nil {
		return nil, ImportRefused, err
	}
	switch {
	case found == "" && mark == markHere:
		return nil, ImportKept, nil
	case found == "" && mark == markGone:
		r.NotBefore = now() // the name may have been given to another person meanwhile
	}
	w, outcome := &importWrite{name: r.Name, from: found}, ImportAdded
	if found != "" {
		before, err := decodeUser(found)
		if err != nil {
			return nil, ImportRefused, err
		}
		if before.Imported == "" {
			return nil, ImportKept, nil
		}
		after := before.withSource(r)
		if *after == *before {
			return nil, ImportUnchanged, nil
		}
		w.endSessions, outcome = after.Generation != before.Generation, ImportUpdated
		if marked := *before; marked.mark(r) && marked == *after {
			outcome = ImportUnchanged // only the mark is new
		} else {
			after.Updated = r.Updated
		}
		r = after
	}
	if w.to, err = r.encode(); err != nil {
		return nil, ImportRefused, err
	}
	w.kind = hashKind(r.Scheme, r.Hash)
	return w, outcome, nil
}

// importRecord makes the record of a new user.
func importRecord(c Import) (*userRecord, error) {
	if err := checkName(c.User.Name); err != nil {
		return nil, err
	}
	scheme := ""
	if c.Hash != "" {
		var err error
		if scheme, err = password.Scheme(strings.ToLower(c.User.Scheme), c.Hash); err != nil {
			return nil, err
		}
	}
	if c.RefreshHash != nil && *c.RefreshHash != "" {
		if _, err := password.Scheme("", *c.RefreshHash); err != nil {
			return nil, fmt.Errorf("refresh token: %w", err)
		}
	}
	at := now()
	return &userRecord{
		Version: jsonVersion, Name: c.User.Name, Hash: c.Hash, Scheme: scheme, Role: c.User.Role, Active: c.User.Active,
		Revision: redisdb.RandomID(), Generation: newGeneration(), Refresh: c.RefreshHash,
		// Once a login has replaced the old hash, only these 66 bits of it remain: too few to guess passwords with.
		Imported: redisdb.Hash(fmt.Sprintf("%q %q", scheme, c.Hash))[:11], Follows: c.Follows,
		Created: timeOr(c.User.Created, at), Updated: timeOr(c.User.Updated, at),
	}, nil
}

// withSource returns the record as a repeated import should have it. It equals the record when the source has not changed.
func (r *userRecord) withSource(source *userRecord) *userRecord {
	after := *r
	after.Role, after.Active = source.Role, source.Active
	if source.Imported != r.Imported {
		after.Hash, after.Scheme, after.Imported = source.Hash, source.Scheme, source.Imported
		if r.Imported != verifiedAtSource { // otherwise it is not known whether the password has changed
			after.endSessions()
		}
	}
	after.mark(source)
	if source.Imported != r.Imported || source.Active != r.Active {
		after.Revision = source.Revision
	}
	if source.Refresh != nil && (r.Refresh == nil || *source.Refresh != *r.Refresh) {
		after.Refresh = source.Refresh
	}
	return &after
}

// mark notes that the user follows the source, where the import says so.
func (r *userRecord) mark(source *userRecord) bool {
	r.Follows = r.Follows || source.Follows
	return r.Follows
}

func timeOr(t time.Time, otherwise int64) int64 {
	if t.IsZero() {
		return otherwise
	}
	return t.UnixMilli()
}
