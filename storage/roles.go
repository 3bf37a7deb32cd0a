package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// Role is a named set of permissions. Of the permissions this package reads `super_user` alone.
type Role struct {
	// ID names the role. It is the name that it was added with and never changes.
	ID string
	// Name is how the role is called now.
	Name string
	// Permission is a JSON object, kept byte for byte.
	Permission       json.RawMessage
	Created, Updated time.Time
}

// ErrPermission is the answer to a role whose permission is no JSON object.
var ErrPermission = errors.New("storage: permission is not a JSON object")

// roleRecord is the stored form of a role. The permission is a string in it, because JSON inside JSON does not keep its
// bytes.
type roleRecord struct {
	Version    int    `json:"v"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	Permission string `json:"permission"`
	Created    int64  `json:"created"` // milliseconds
	Updated    int64  `json:"updated"`
	Revision   string `json:"rev"` // another one with every write, so that a script knows its own from an equal one
}

func (r *roleRecord) role() Role {
	return Role{
		ID: r.ID, Name: r.Name, Permission: json.RawMessage(r.Permission),
		Created: time.UnixMilli(r.Created).UTC(), Updated: time.UnixMilli(r.Updated).UTC(),
	}
}

func decodeRole(raw string) (*roleRecord, error) {
	var r roleRecord
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return nil, dontKnow("read role", fmt.Errorf("%w: %w", errRecord, err))
	}
	if r.Version != recordVersion {
		return nil, dontKnow("read role", fmt.Errorf("%w: version %d", errRecord, r.Version))
	}
	return &r, nil
}

// superUser reads the one permission that tokens tell. Its name is compared with its case, and true is the only yes.
func superUser(permission json.RawMessage) (bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(permission, &members); err != nil || members == nil || !utf8.Valid(permission) {
		return false, ErrPermission
	}
	return bytes.Equal(bytes.TrimSpace(members["super_user"]), []byte("true")), nil
}

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
	err := u.db.do(ctx, op, func(ctx context.Context) error {
		var err error
		raw, err = u.db.rdb.HGet(ctx, u.db.keys.roles(), id).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", u.db.missing(ctx, op)
	}
	return raw, err
}

// ListRoles returns all roles, ordered by ID.
func (u *Users) ListRoles(ctx context.Context) ([]Role, error) {
	const op = "list roles"
	var all map[string]string
	err := u.db.do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = u.db.rdb.HGetAll(ctx, u.db.keys.roles()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		if err := u.db.checkEpoch(ctx); err != nil {
			return nil, dontKnow(op, err)
		}
	}
	list := make([]Role, 0, len(all))
	for _, raw := range all {
		r, err := decodeRole(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, r.role())
	}
	slices.SortFunc(list, func(a, b Role) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// roleScript replaces a role, but only the one that its caller read, and keeps the set of super-user roles in step.
// KEYS: roles, super-user roles. ARGV: ID, the role as it was, as it is to be (empty: no role), 1 for a super-user role.
// A second run, after a lost reply, finds its own work and agrees.
var roleScript = redis.NewScript(`
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 1 end
if found ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call(ARGV[4] == '1' and 'SADD' or 'SREM', KEYS[2], ARGV[1])
return 1`)

func (u *Users) swapRole(ctx context.Context, op, id, from, to string, super bool) (bool, error) {
	flag := "0"
	if super {
		flag = "1"
	}
	c := call{script: roleScript, keys: []string{u.db.keys.roles(), u.db.keys.supers()}, args: []any{id, from, to, flag}}
	reply, err := u.db.eval(ctx, op, c)
	if err != nil {
		return false, err
	}
	return reply == int64(1), nil
}

// AddRole stores a new role and returns it as it is stored, or returns ErrExists. An empty name is the ID.
func (u *Users) AddRole(ctx context.Context, role Role) (Role, error) {
	const op = "add role"
	if err := checkName(role.ID); err != nil {
		return Role{}, err
	}
	at := now()
	r := roleRecord{Version: recordVersion, ID: role.ID, Name: role.Name, Permission: string(role.Permission), Created: at, Updated: at}
	if r.Name == "" {
		r.Name = r.ID
	}
	super, raw, err := r.encode()
	if err != nil {
		return Role{}, err
	}
	if err := u.db.checkEpoch(ctx); err != nil {
		return Role{}, dontKnow(op, err)
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

func (r *roleRecord) encode() (super bool, raw string, err error) {
	if err := checkName(r.Name); err != nil {
		return false, "", err
	}
	if super, err = superUser(json.RawMessage(r.Permission)); err != nil {
		return false, "", err
	}
	r.Revision = randomID()
	b, err := json.Marshal(r)
	if err != nil {
		return false, "", fmt.Errorf("storage: encode role: %w", err)
	}
	return super, string(b), nil
}

// ChangeRole replaces the name, unless it is empty, and the permission, unless it is nil, and returns the role as it is
// stored, or fosite.ErrNotFound. Tokens issued from then on tell what it says; those issued before keep what they say.
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
		r.Updated = now()
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
	return Role{}, dontKnow(op, errors.New("the role changes all the time"))
}

// DropRole removes a role, or returns fosite.ErrNotFound, or ErrInUse while an active user has it. Disabled users lose it. It
// reads all users for that. A user who is given the role in that very moment keeps the name of a role that has gone, which
// makes no super user.
func (u *Users) DropRole(ctx context.Context, id string) error {
	const op = "drop role"
	for range 10 {
		found, err := u.rawRole(ctx, op, id)
		if err != nil {
			return err
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
		dropped, err := u.swapRole(ctx, op, id, found, "", false)
		if err != nil {
			return err
		}
		if dropped {
			return u.withdraw(ctx, op, id, disabled)
		}
	}
	return dontKnow(op, errors.New("the role changes all the time"))
}

// withdraw takes a role that has gone away from users, lest they have it again when a role of that name is added again.
func (u *Users) withdraw(ctx context.Context, op, id string, names []string) error {
	for _, name := range names {
		_, _, err := u.edit(ctx, op, name, func(r *userRecord) error {
			if r.Role == id {
				r.Role, r.Updated = "", now()
			}
			return nil
		})
		if err != nil && !errors.Is(err, fosite.ErrNotFound) {
			return err
		}
	}
	return nil
}
