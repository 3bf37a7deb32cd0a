package storage

import (
	"context"
	"time"
)

// Present is what the source of an import holds now.
type Present struct {
	// Users by name. Role and Active are read. Nil for a user whom the import refuses or keeps as it is here. Empty: the source
	// says nothing about users.
	Users map[string]*User
	// Roles by ID, likewise.
	Roles map[string]bool
	// Read is when the source was read. A user whom the source has verified since then is not gone: see AddVerifiedUser. Zero: not
	// known, and everybody is older.
	Read time.Time
}

// Gone is what follows the source of an import and is no longer there.
type Gone struct {
	Users []string // names, in their order
	Roles []string // IDs, in their order
	// RoleOf has the role of each of Users who is active.
	RoleOf map[string]string
	// InUse has those of Roles that an active user will have after the import, and that can therefore not be removed.
	InUse map[string]bool
}

// FindGone returns the users and roles that were imported, have not been changed here since, and are not at the source any more. It
// takes two round trips for every 500 users and changes nothing. With remove it takes the gone users for removed when it looks
// whether a role is in use. Call it before the import of what is present.
func (u *Users) FindGone(ctx context.Context, present Present, remove bool) (Gone, error) {
	const op = "find gone users"
	gone := Gone{RoleOf: map[string]string{}, InUse: map[string]bool{}}
	if err := u.db.CheckEpoch(ctx, op); err != nil { // an emptied Redis has nobody who is gone
		return gone, err
	}
	for _, user := range present.Users {
		if user != nil && user.Active {
			gone.InUse[user.Role] = true
		}
	}
	err := u.each(ctx, op, func(r *userRecord, _ []string) error {
		user, there := present.Users[r.Name]
		switch {
		case user != nil && r.Imported != "":
			return nil // has the role of the source after the import
		case !there && r.Imported != "" && r.Follows && len(present.Users) > 0 && !present.isOlderThan(r):
			gone.Users = append(gone.Users, r.Name)
			if r.Active {
				gone.RoleOf[r.Name] = r.Role
			}
			if remove {
				return nil
			}
		}
		if r.Active {
			gone.InUse[r.Role] = true
		}
		return nil
	})
	if err != nil || len(present.Roles) == 0 {
		return gone, err
	}
	gone.Roles, err = u.goneRoles(ctx, present.Roles)
	return gone, err
}

// isOlderThan tells whether the source was read before it verified the user, so that it may have got the user after that.
func (p Present) isOlderThan(r *userRecord) bool {
	return !p.Read.IsZero() && r.Imported == verifiedAtSource && r.Created >= p.Read.UnixMilli()
}

func (u *Users) goneRoles(ctx context.Context, present map[string]bool) ([]string, error) {
	all, err := u.listRoles(ctx, "find gone roles")
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, r := range all {
		if r.Imported != "" && !present[r.ID] {
			gone = append(gone, r.ID)
		}
	}
	return gone, nil
}

// DropGoneUser is DropUser for a user whom FindGone has found. It returns ErrKept if the user was changed here meanwhile. A later
// import brings the user back if the source has the user again, but not the tokens that the source has issued so far.
func (u *Users) DropGoneUser(ctx context.Context, name string) error {
	return u.drop(ctx, name, markGone)
}

// DropGoneRole is DropRole for a role that FindGone has found. It returns ErrKept if the role was changed here meanwhile.
func (u *Users) DropGoneRole(ctx context.Context, id string) error { return u.dropRole(ctx, id, true) }
