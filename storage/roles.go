package storage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Role is a named set of permissions. The store reads one of them, `super_user`.
type Role struct {
	// ID identifies the role and never changes.
	ID string
	// Name is for people, and can be changed.
	Name string
	// Permission is a JSON object, kept byte for byte.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// ErrPermission is returned for a role whose permission is not a JSON object.
var ErrPermission = errors.New("storage: permission is not a JSON object")

// Role returns one role, or fosite.ErrNotFound.
func (u *Users) Role(ctx context.Context, id string) (Role, error) {
	raw, err := u.rawRole(ctx, "read role", id)
	if err != nil {
		return Role{}, err
	}
	r, err := decodeRole(raw)
	if err != nil {
		return Role{}, err
	}
	return r.role(), nil
}

func (u *Users) rawRole(ctx context.Context, op, id string) (string, error) {
	var raw string
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		raw, err = u.db.Client.HGet(ctx, u.db.Keys.Roles(), id).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", u.db.Missing(ctx, op)
	}
	return raw, err
}

// ListRoles returns all roles, ordered by ID.
func (u *Users) ListRoles(ctx context.Context) ([]Role, error) {
	all, err := u.listRoles(ctx, "list roles")
	if err != nil {
		return nil, err
	}
	list := make([]Role, len(all))
	for i, r := range all {
		list[i] = r.role()
	}
	return list, nil
}

func (u *Users) listRoles(ctx context.Context, op string) ([]*roleRecord, error) {
	var all map[string]string
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = u.db.Client.HGetAll(ctx, u.db.Keys.Roles()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		if err := u.db.CheckEpoch(ctx, op); err != nil {
			return nil, err
		}
	}
	list := make([]*roleRecord, 0, len(all))
	for _, raw := range all {
		r, err := decodeRole(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *roleRecord) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// AddRole stores a new role and returns it as it is stored, or returns ErrExists. An empty name is the ID.
func (u *Users) AddRole(ctx context.Context, role Role) (Role, error) {
	return u.addRole(ctx, role, false)
}

// addRole is AddRole. A role that is imported follows its source: see ImportRoles.
func (u *Users) addRole(ctx context.Context, role Role, imported bool) (Role, error) {
	const op = "add role"
	if err := checkName(role.ID); err != nil {
		return Role{}, err
	}
	at := now()
	r := roleRecord{Version: jsonVersion, ID: role.ID, Name: role.Name, Permission: string(role.Permission), Created: at, Updated: at}
	if r.Name == "" {
		r.Name = r.ID
	}
	if imported {
		r.Imported = r.fingerprint()
	}
	super, raw, err := r.encode()
	if err != nil {
		return Role{}, err
	}
	if err := u.db.CheckEpoch(ctx, op); err != nil {
		return Role{}, err
	}
	added, err := u.swapRole(ctx, op, role.ID, "", raw, super)
	if err != nil {
		return Role{}, err
	}
	if !added {
		return Role{}, ErrExists
	}
	return r.role(), nil
}

// ChangeRole replaces the name, unless it is empty, and the permission, unless it is nil. It returns the role as it is stored,
// or fosite.ErrNotFound. Tokens that were issued before keep the claims that they have.
func (u *Users) ChangeRole(ctx context.Context, role Role) (Role, error) {
	const op = "change role"
	for range 10 {
		found, err := u.rawRole(ctx, op, role.ID)
		if err != nil {
			return Role{}, err
		}
		r, err := decodeRole(found)
		if err != nil {
			return Role{}, err
		}
		if role.Name != "" {
			r.Name = role.Name
		}
		if role.Permission != nil {
			r.Permission = string(role.Permission)
		}
		r.Updated, r.Imported = now(), ""
		super, raw, err := r.encode()
		if err != nil {
			return Role{}, err
		}
		done, err := u.swapRole(ctx, op, role.ID, found, raw, super)
		if err != nil {
			return Role{}, err
		}
		if done {
			return r.role(), nil
		}
	}
	return Role{}, unavailable.Error(op, errContended)
}

// DropRole removes a role, or returns fosite.ErrNotFound, or ErrInUse while an active user has it. Disabled users lose it. It
// reads all users. A user who is given the role at that moment keeps the ID of a role that does not exist, which does not
// make a super user.
func (u *Users) DropRole(ctx context.Context, id string) error {
	return u.dropRole(ctx, id, false)
}

// dropRole is DropRole. With imported it returns ErrKept for a role that was added or changed here.
func (u *Users) dropRole(ctx context.Context, id string, imported bool) error {
	const op = "drop role"
	for range 10 {
		found, err := u.rawRole(ctx, op, id)
		if err != nil {
			return err
		}
		if imported {
			if r, err := decodeRole(found); err != nil || r.Imported == "" {
				return errors.Join(ErrKept, err)
			}
		}
		var disabled []string
		err = u.each(ctx, op, func(r *userRecord, _ []string) error {
			if r.Role != id {
				return nil
			}
			if r.Active {
				return ErrInUse
			}
			disabled = append(disabled, r.Name)
			return nil
		})
		if err != nil {
			return err
		}
		// The users first: a repeat finds them while there is the role.
		if err := u.clearRole(ctx, op, id, disabled); err != nil {
			return err
		}
		dropped, err := u.swapRole(ctx, op, id, found, "", false)
		if dropped || err != nil {
			return err
		}
	}
	return unavailable.Error(op, errContended)
}

// clearRole takes a role that is being dropped away from disabled users: they must not get it back when a role of that ID is added
// again.
func (u *Users) clearRole(ctx context.Context, op, id string, names []string) error {
	for _, name := range names {
		_, _, err := u.edit(ctx, op, name, func(r *userRecord) error {
			if r.Role != id {
				return nil
			}
			if r.Active {
				return ErrInUse // enabled meanwhile
			}
			r.Role, r.Updated = "", now()
			return nil
		})
		if err != nil && !errors.Is(err, fosite.ErrNotFound) {
			return err
		}
	}
	return nil
}
