package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Import is a user as another server stored it.
type Import struct {
	User User
	// Hash of the password in its stored form, which User.Scheme names (see SchemeMD5 and the others), or that is recognised:
	// HarperDB's three, and argon2id, bcrypt, scrypt and PBKDF2 as $-strings. Empty: no password opens the account.
	Hash string
	// RefreshHash is the stored form of the one refresh token that the user has at the source, in one of HarperDB's three
	// forms. Nil: the source does not tell. Empty: the user has none. See ImportedTokenValid.
	RefreshHash *string
}

// ImportResult is what became of one user, or would become of it.
type ImportResult struct {
	Name    string
	Outcome ImportOutcome
	Err     error // why it was refused: ErrHash or ErrName
}

// ImportOutcome is what an import did with one user.
type ImportOutcome string

// The outcomes of an import.
const (
	ImportAdded     ImportOutcome = "added"
	ImportUpdated   ImportOutcome = "updated"   // the row has changed at its source since the import before
	ImportUnchanged ImportOutcome = "unchanged" // imported before, and the source has not changed
	ImportKept      ImportOutcome = "kept"      // added, changed or dropped here: imports leave it alone
	ImportRefused   ImportOutcome = "refused"
)

// ImportUser stores one imported user, and tells whether that changed anything. Importing the same again changes nothing,
// even after a login has replaced the hash.
func (u *Users) ImportUser(ctx context.Context, user User, storedHash string) (changed bool, err error) {
	results, err := u.ImportUsers(ctx, []Import{{User: user, Hash: storedHash}}, false)
	if err != nil {
		return false, err
	}
	r := results[0]
	return r.Outcome == ImportAdded || r.Outcome == ImportUpdated, r.Err
}

// ImportUsers stores imported users, some hundreds in each round trip, and tells for each what became of it. A row that is
// refused does not stop the others. With dryRun it tells what would become of them, and changes nothing.
//
// On an error the import may have happened in part, and can be repeated. A user who was imported before, and whose password
// has changed at the source since, loses all sessions.
func (u *Users) ImportUsers(ctx context.Context, users []Import, dryRun bool) ([]ImportResult, error) {
	results := make([]ImportResult, 0, len(users))
	for chunk := range slices.Chunk(users, 300) {
		r, err := u.importChunk(ctx, chunk, dryRun)
		if err != nil {
			return nil, err
		}
		results = append(results, r...)
	}
	return results, nil
}

const opImport = "import users"

func (u *Users) importChunk(ctx context.Context, chunk []Import, dryRun bool) ([]ImportResult, error) {
	names := make([]string, len(chunk))
	for i, c := range chunk {
		names[i] = c.User.Name
	}
	found, _, err := u.readAll(ctx, opImport, names)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(found, func(raw string) bool { return raw != "" }) {
		// Before an emptied Redis is filled with users again, somebody should know.
		if err := u.db.checkEpoch(ctx); err != nil {
			return nil, dontKnow(opImport, err)
		}
	}
	dropped, err := u.dropped(ctx, names)
	if err != nil {
		return nil, err
	}
	results := make([]ImportResult, len(chunk))
	var (
		writes []importWrite
		enlist []string
	)
	seen := make(map[string]bool, len(chunk))
	for i, c := range chunk {
		results[i].Name = c.User.Name
		if seen[c.User.Name] {
			results[i].Outcome, results[i].Err = ImportRefused, fmt.Errorf("%w: the name comes twice", ErrExists)
			continue
		}
		seen[c.User.Name] = true
		w, outcome, err := planImport(c, found[i], dropped[i])
		results[i].Outcome, results[i].Err = outcome, err
		if w != nil {
			w.result = &results[i]
			writes = append(writes, *w)
			if w.from == "" {
				enlist = append(enlist, c.User.Name)
			}
		}
	}
	if dryRun || len(writes) == 0 {
		return results, nil
	}
	return results, u.importWrites(ctx, writes, enlist)
}

// importWrite is the change of one record.
type importWrite struct {
	name, from, to string
	ends           bool // the user's sessions
	result         *ImportResult
}

func (u *Users) importWrites(ctx context.Context, writes []importWrite, enlist []string) error {
	if len(enlist) > 0 {
		if err := u.enlist(ctx, opImport, enlist...); err != nil {
			return err
		}
	}
	calls := make([]call, len(writes))
	for i, w := range writes {
		calls[i] = u.swapCall(w.name, w.from, w.to)
		if w.from == "" {
			calls[i] = u.addCall(w.name, w.to, true)
		}
	}
	replies, err := u.db.evalAll(ctx, opImport, calls)
	if err != nil {
		return err
	}
	for i, w := range writes {
		if replies[i] != int64(1) {
			w.result.Outcome = ImportKept // somebody was quicker: the record is theirs
			continue
		}
		if w.ends {
			if err := u.db.endSubject(ctx, w.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropped tells which users were dropped here.
func (u *Users) dropped(ctx context.Context, names []string) ([]bool, error) {
	marks := make([]*redis.IntCmd, len(names))
	err := u.db.do(ctx, opImport, func(ctx context.Context) error {
		_, err := u.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				marks[i] = p.Exists(ctx, u.db.keys.dropped(subjectTag(name)))
			}
			return nil
		})
		return err
	})
	list := make([]bool, len(names))
	for i, m := range marks {
		list[i] = m.Val() > 0
	}
	return list, err
}

// planImport decides about one user. found is the record that is there.
func planImport(c Import, found string, dropped bool) (*importWrite, ImportOutcome, error) {
	r, err := importRecord(c)
	if err != nil {
		return nil, ImportRefused, err
	}
	if found == "" && dropped {
		return nil, ImportKept, nil
	}
	w, outcome := &importWrite{name: r.Name, from: found}, ImportAdded
	if found != "" {
		before, err := decodeUser([]byte(found))
		if err != nil {
			return nil, ImportRefused, err
		}
		if before.Imported == "" {
			return nil, ImportKept, nil
		}
		after := before.follow(r)
		if *after == *before {
			return nil, ImportUnchanged, nil
		}
		w.ends, outcome = after.Imported != before.Imported, ImportUpdated
		after.Updated = now()
		r = after
	}
	if w.to, err = r.encode(); err != nil {
		return nil, ImportRefused, err
	}
	return w, outcome, nil
}

// importRecord makes the record of a user who is not there yet.
func importRecord(c Import) (*userRecord, error) {
	if err := checkName(c.User.Name); err != nil {
		return nil, err
	}
	scheme := ""
	if c.Hash != "" {
		var err error
		if scheme, err = schemeOf(strings.ToLower(c.User.Scheme), c.Hash); err != nil {
			return nil, err
		}
	}
	if c.RefreshHash != nil && *c.RefreshHash != "" {
		if _, err := schemeOf("", *c.RefreshHash); err != nil {
			return nil, fmt.Errorf("refresh token: %w", err)
		}
	}
	at := now()
	return &userRecord{
		Version: recordVersion, Name: c.User.Name, Hash: c.Hash, Scheme: scheme, Role: c.User.Role, Active: c.User.Active,
		Revision: randomID(), Refresh: c.RefreshHash,
		// Of the old hash only 64 bits remain once a login has replaced it: too few to find its salt and try passwords against.
		Imported: hash(fmt.Sprintf("%q %q", scheme, c.Hash))[:11],
		Created:  timeOr(c.User.Created, at), Updated: timeOr(c.User.Updated, at),
	}, nil
}

// follow returns the record as a later import would have it. The very same record: nothing has changed at the source.
func (r *userRecord) follow(source *userRecord) *userRecord {
	after := *r
	after.Role, after.Active = source.Role, source.Active
	if source.Imported != r.Imported {
		after.Hash, after.Scheme, after.Imported, after.NotBefore = source.Hash, source.Scheme, source.Imported, now()
	}
	if source.Imported != r.Imported || source.Active != r.Active {
		after.Revision = source.Revision
	}
	if source.Refresh != nil && (r.Refresh == nil || *source.Refresh != *r.Refresh) {
		after.Refresh = source.Refresh
	}
	return &after
}

func timeOr(t time.Time, otherwise int64) int64 {
	if t.IsZero() {
		return otherwise
	}
	return t.UnixMilli()
}
