package storage

import (
	"context"
	"fmt"
	"slices"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Import is a user as another server stored it.
type Import struct {
	User User
	// Hash is the password in its stored form: one of HarperDB's three, or argon2id, bcrypt, scrypt or PBKDF2 as a $-string.
	// User.Scheme names the form (see SchemeMD5 and the others) or is empty. Empty: no password opens the account.
	Hash string
	// RefreshHash is the stored form of the refresh token that the user has at the source, in one of HarperDB's three forms.
	// Nil: the source does not tell. Empty: the user has none. See ImportedTokenValid.
	RefreshHash *string
	// Follows marks a user of the server that the installation moves from: FindGone finds the user when that server no longer
	// has it. A user who was marked once stays marked.
	Follows bool
}

// ImportResult is what an import did with one user or role, or would do.
type ImportResult struct {
	Name    string // of a role: the ID
	Outcome ImportOutcome
	Err     error // why it was refused: ErrHash, ErrName, ErrPermission or ErrExists
}

// ImportOutcome names what an import did.
type ImportOutcome string

// The outcomes of an import.
const (
	ImportAdded     ImportOutcome = "added"
	ImportUpdated   ImportOutcome = "updated"   // the user has changed at the source since the last import
	ImportUnchanged ImportOutcome = "unchanged" // imported before, and the same at the source
	ImportKept      ImportOutcome = "kept"      // added, changed or dropped here: imports leave it alone
	ImportRefused   ImportOutcome = "refused"
	ImportGone      ImportOutcome = "gone"    // imported before, and no longer at the source
	ImportRemoved   ImportOutcome = "removed" // gone, and removed here
)

// ImportUsers stores users of another server, 300 in a few round trips, and returns the result for each. A user who is refused
// does not stop the others. With dryRun it returns what it would do, and changes nothing. Importing the same again changes
// nothing, even after a login has replaced the hash.
//
// On an error a part of the users may have been imported, and it can be repeated. A user who was imported before, and whose
// password has changed at the source since, loses all sessions.
func (u *Users) ImportUsers(ctx context.Context, users []Import, dryRun bool) ([]ImportResult, error) {
	results := make([]ImportResult, 0, len(users))
	seen := make(map[string]bool, len(users))
	for chunk := range slices.Chunk(users, 300) {
		r, err := u.importChunk(ctx, chunk, seen, dryRun)
		if err != nil {
			return nil, err
		}
		results = append(results, r...)
	}
	return results, nil
}

const opImport = "import users"

// importWrite is the change of one record.
type importWrite struct {
	name, from, to string // from is empty for a new user
	kind           string // of the hash
	endSessions    bool
	result         *ImportResult
}

func (u *Users) importChunk(ctx context.Context, chunk []Import, seen map[string]bool, dryRun bool) ([]ImportResult, error) {
	names := make([]string, len(chunk))
	for i, c := range chunk {
		names[i] = c.User.Name
	}
	found, err := u.accounts(ctx, opImport, names)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(found, func(a *account) bool { return a.record != nil }) {
		// An emptied Redis must not be filled with users again unnoticed.
		if err := u.db.CheckEpoch(ctx, opImport); err != nil {
			return nil, err
		}
	}
	marks, err := u.dropMarks(ctx, names)
	if err != nil {
		return nil, err
	}
	results := make([]ImportResult, len(chunk))
	var writes []importWrite
	for i, c := range chunk {
		results[i].Name = c.User.Name
		if seen[c.User.Name] {
			results[i].Outcome, results[i].Err = ImportRefused, errTwice
			continue
		}
		seen[c.User.Name] = true
		w, outcome, err := planImport(c, string(found[i].record), marks[i])
		results[i].Outcome, results[i].Err = outcome, err
		if w != nil {
			w.result = &results[i]
			writes = append(writes, *w)
		}
	}
	if dryRun || len(writes) == 0 {
		return results, nil
	}
	return results, u.importWrites(ctx, writes)
}

func (u *Users) importWrites(ctx context.Context, writes []importWrite) error {
	var added, kinds []string
	calls := make([]redisdb.Call, len(writes))
	for i, w := range writes {
		if w.kind != "" && !slices.Contains(kinds, w.kind) && len(kinds) < maxHashKinds {
			kinds = append(kinds, w.kind)
		}
		if w.from == "" {
			added = append(added, w.name)
			calls[i] = u.addCall(w.name, w.to, markHere)
		} else {
			calls[i] = u.swapCall(w.name, w.from, w.to)
		}
	}
	if err := u.addHashKinds(ctx, opImport, kinds...); err != nil { // before the users, or their logins would be told apart
		return err
	}
	if len(added) > 0 {
		if err := u.addToIndex(ctx, opImport, added...); err != nil {
			return err
		}
	}
	if err := u.endOf(ctx, writes); err != nil { // before the records: a repeat looks at them to see what is left to do
		return err
	}
	replies, err := u.db.EvalAll(ctx, opImport, calls, nil)
	if err != nil {
		return err
	}
	for i, w := range writes {
		if replies[i] != int64(1) {
			w.result.Outcome = ImportKept // the user was changed here meanwhile
		}
	}
	return u.endOf(ctx, writes) // those that were opened in between: they have ended, and are still in lists
}

// endOf ends the sessions of users whose password has changed at the source.
func (u *Users) endOf(ctx context.Context, writes []importWrite) error {
	for _, w := range writes {
		if w.endSessions {
			if err := endSubject(ctx, u.db, w.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// errTwice is why the second of two entries with one name is refused.
var errTwice = fmt.Errorf("%w: the name comes twice", ErrExists)
