package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Import is a user as another server stored it.
type Import struct {
	User User
	// Hash of the password in its stored form, which User.Scheme names (see SchemeMD5 and the others), or that is recognised:
	// HarperDB's three, and argon2id, bcrypt, scrypt and PBKDF2 as $-strings. Empty: no password opens the account.
	Hash string
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
	ImportKept      ImportOutcome = "kept"      // added or changed here: imports leave it alone
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
// On an error the import may have happened in part, and can be repeated. A user whose password or state changed, and who
// was imported before, loses all sessions.
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
		w, outcome, err := planImport(c, found[i])
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

// planImport decides about one user. found is the record that is there.
func planImport(c Import, found string) (*importWrite, ImportOutcome, error) {
	if err := checkName(c.User.Name); err != nil {
		return nil, ImportRefused, err
	}
	scheme := ""
	if c.Hash != "" {
		var err error
		if scheme, err = schemeOf(strings.ToLower(c.User.Scheme), c.Hash); err != nil {
			return nil, ImportRefused, err
		}
	}
	at := now()
	r := userRecord{
		Name: c.User.Name, Hash: c.Hash, Scheme: scheme, Role: c.User.Role, Active: c.User.Active, Revision: randomID(),
		Created: timeOr(c.User.Created, at), Updated: timeOr(c.User.Updated, at),
	}
	// Of the old hash only 64 bits remain once a login has replaced it: too few to find its salt and try passwords against.
	r.Imported = hash(fmt.Sprintf("%q %q %q %t", scheme, c.Hash, r.Role, r.Active))[:11]
	w, outcome := &importWrite{name: r.Name, from: found}, ImportAdded
	if found != "" {
		before, err := decodeUser([]byte(found))
		switch {
		case err != nil:
			return nil, ImportRefused, err
		case before.Imported == "":
			return nil, ImportKept, nil
		case before.Imported == r.Imported:
			return nil, ImportUnchanged, nil
		}
		w.ends, outcome = true, ImportUpdated
	}
	raw, err := r.encode()
	if err != nil {
		return nil, ImportRefused, err
	}
	w.to = raw
	return w, outcome, nil
}

func timeOr(t time.Time, otherwise int64) int64 {
	if t.IsZero() {
		return otherwise
	}
	return t.UnixMilli()
}
