package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/compat/harper"
	"github.com/opgrant/opgrant/storage"
)

// findGone returns what the source no longer has. Only a kind of which the source has anything is compared.
func (i *importer) findGone(ctx context.Context, export *harper.Export, accepted map[string]*storage.User, report *importReport) (storage.Gone, error) {
	present := storage.Present{Read: i.read, Users: map[string]*storage.User{}, Roles: map[string]bool{}}
	for _, u := range export.Users {
		present.Users[u.Name] = accepted[u.Name]
	}
	for _, r := range export.Roles {
		present.Roles[r.ID] = true
	}
	for _, r := range export.Refused {
		switch {
		case r.Name == "": // it may be anybody
			if i.options.removeGone {
				i.options.removeGone = false
				report.Notes = append(report.Notes, "nothing is removed: a row without a readable name was refused")
			}
		case r.Role:
			present.Roles[r.Name] = true
		default:
			present.Users[r.Name] = accepted[r.Name] // another row may have the name
		}
	}
	if len(present.Users) == 0 && len(present.Roles) == 0 {
		return storage.Gone{}, nil
	}
	gone, err := i.server.Store.Users.FindGone(ctx, present, i.options.removeGone)
	if err == nil && !i.options.removeGone {
		noteGoneSupers(gone, export.Roles, report)
	}
	return gone, err
}

// noteGoneSupers tells of users who are gone and stay here with a role that makes super users at the source, perhaps since they left.
func noteGoneSupers(gone storage.Gone, roles []harper.Role, report *importReport) {
	_, raise := splitRoles(roles, &importReport{}) // what is refused is reported already
	var names []string
	for _, name := range gone.Users {
		role, active := gone.RoleOf[name]
		if active && slices.ContainsFunc(raise, func(r harper.Role) bool { return r.ID == role }) {
			names = append(names, printable(name))
		}
	}
	if len(names) > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("gone from the source, but active here with a role of super users: %d (%s); "+
			"--remove-gone removes such users, `opgrant user disable` disables one", len(names), strings.Join(names[:min(len(names), 10)], ", ")))
	}
}

// roleInUse is why a role is not removed.
const roleInUse = "an active user has it"

// reportGone reports what removeGone would do.
func (i *importer) reportGone(gone storage.Gone, report *importReport) {
	for _, name := range gone.Users {
		report.addGone(goneEntry{What: reportUsers, Name: name, Removed: i.options.removeGone})
	}
	for _, id := range gone.Roles {
		e := goneEntry{What: reportRoles, Name: id, Removed: i.options.removeGone && !gone.InUse[id]}
		if i.options.removeGone && !e.Removed {
			e.Reason = roleInUse
		}
		report.addGone(e)
	}
}

// removeGoneUsers removes the users who are gone, if that is asked for. It comes before removeGoneRoles, since they have those roles.
func (i *importer) removeGoneUsers(ctx context.Context, gone storage.Gone, report *importReport) error {
	if !i.options.removeGone {
		return nil
	}
	for at, name := range gone.Users {
		i.shown.set("removed %s of %s users", grouped(at), grouped(len(gone.Users)))
		err := i.server.Store.Users.DropGoneUser(ctx, name)
		if err := reportRemoval(reportUsers, name, err, report); err != nil {
			return stopped("users to remove", at, len(gone.Users), false, err)
		}
	}
	return nil
}

// removeGoneRoles removes the roles that are gone, or reports both where that is not asked for.
func (i *importer) removeGoneRoles(ctx context.Context, gone storage.Gone, report *importReport) error {
	if !i.options.removeGone {
		i.reportGone(gone, report)
		return nil
	}
	for at, id := range gone.Roles {
		err := i.server.Store.Users.DropGoneRole(ctx, id)
		if err := reportRemoval(reportRoles, id, err, report); err != nil {
			return stopped("roles to remove", at, len(gone.Roles), false, err)
		}
	}
	return nil
}

func reportRemoval(what, name string, err error, report *importReport) error {
	e := goneEntry{What: what, Name: name, Removed: true}
	switch {
	case err == nil || server.IsNotFound(err): // another import was first
	case errors.Is(err, storage.ErrInUse):
		e.Removed, e.Reason = false, roleInUse
	case errors.Is(err, storage.ErrKept):
		e.Removed, e.Reason = false, "it was changed here"
	default:
		return err
	}
	report.addGone(e)
	return nil
}
