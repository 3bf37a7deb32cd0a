package storage

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ory/fosite"
)

// storeRole stores the role of a user who was verified at the source, unless there is one of that ID, and returns the ID that the
// user gets. A role that makes a super user here and not at the source would give the user more than the source does: one that came
// from there loses that, as by an import, and one that was added or changed here is not given to the user.
func (u *Users) storeRole(ctx context.Context, role Role) (id string, err error) {
	if role.ID == "" {
		return "", nil
	}
	super, err := superUser(role.Permission)
	if err != nil {
		return "", err
	}
	for range 10 {
		if _, err := u.addRole(ctx, role, true); !errors.Is(err, ErrExists) {
			return role.ID, err
		}
		if super {
			return role.ID, nil
		}
		raw, err := u.rawRole(ctx, opSource, role.ID)
		if errors.Is(err, fosite.ErrNotFound) {
			continue // it was dropped meanwhile
		}
		if err != nil {
			return "", err
		}
		found, err := decodeRole(raw)
		if err != nil {
			return "", err
		}
		switch superHere, err := superUser(json.RawMessage(found.Permission)); {
		case err != nil:
			return "", err
		case !superHere:
			return role.ID, nil
		case found.Imported == "":
			return "", nil
		}
		if _, err := u.ImportRoles(ctx, []Role{role}, false); err != nil {
			return "", err
		}
	}
	return "", errContended
}
