package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// roleRecord is the stored form of a role. The permission is a string, because JSON inside JSON does not keep its bytes.
type roleRecord struct {
	Version    int    `json:"v"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	Permission string `json:"permission"`
	Created    int64  `json:"created"` // milliseconds
	Updated    int64  `json:"updated"`
	Revision   string `json:"rev"` // changes with every write, so that a script recognises its own

	// Imported is a fingerprint of the role as it was imported. A change made here empties it, and later imports then leave the
	// role alone.
	Imported string `json:"imported,omitempty"`
}

func (r *roleRecord) role() Role {
	return Role{
		ID: r.ID, Name: r.Name, Permission: json.RawMessage(r.Permission),
		Created: time.UnixMilli(r.Created).UTC(), Updated: time.UnixMilli(r.Updated).UTC(),
	}
}

func decodeRole(raw string) (*roleRecord, error) {
	var r roleRecord
	if err := decodeRecord("read role", raw, &r, &r.Version); err != nil {
		return nil, err
	}
	return &r, nil
}

// superUser reads the permission that tokens carry. Its name is case-sensitive, and only true counts.
func superUser(permission json.RawMessage) (bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(permission, &members); err != nil || members == nil || !utf8.Valid(permission) {
		return false, ErrPermission
	}
	return bytes.Equal(bytes.TrimSpace(members["super_user"]), []byte("true")), nil
}

func (r *roleRecord) encode() (super bool, raw string, err error) {
	if err := checkName(r.Name); err != nil {
		return false, "", err
	}
	if super, err = superUser(json.RawMessage(r.Permission)); err != nil {
		return false, "", err
	}
	r.Revision = redisdb.RandomID()
	b, err := json.Marshal(r)
	if err != nil {
		return false, "", fmt.Errorf("storage: encode role: %w", err)
	}
	return super, string(b), nil
}

// roleScript replaces a role, unless it has changed since it was read, and updates the set of super-user roles. The set comes first:
// after a failure between the two the record is as it was, so that a repeat writes both. And no role makes super users whose record
// could not be written.
//
//	KEYS  1 roles   2 super-user roles
//	ARGV  1 role ID   2 the role as it was read   3 as it is to be, empty for none   4 '1' for a super-user role
//	reply 1; 0: it has changed
//	twice finds the role as it is to be, and replies 1
var roleScript = redisdb.NewScript(`
local id, from, to = ARGV[1], ARGV[2], ARGV[3]
local found = redis.call('HGET', KEYS[1], id) or ''
if found == to then return 1 end
if found ~= from then return 0 end
local added = 0
if ARGV[4] == '1' then
  added = redis.call('SADD', KEYS[2], id)
else
  redis.call('SREM', KEYS[2], id)
end
if to == '' then
  redis.call('HDEL', KEYS[1], id)
  return 1
end
local written = redis.pcall('HSET', KEYS[1], id, to)
if type(written) == 'table' then -- an error
  if added == 1 then redis.call('SREM', KEYS[2], id) end
  return written
end
return 1`)

// swapRole replaces a role, or returns false when it has changed since it was read.
func (u *Users) swapRole(ctx context.Context, op, id, from, to string, super bool) (bool, error) {
	reply, err := u.db.Eval(ctx, op, u.roleCall(id, from, to, super))
	if err != nil {
		return false, err
	}
	return reply == int64(1), nil
}

func (u *Users) roleCall(id, from, to string, super bool) redisdb.Call {
	flag := "0"
	if super {
		flag = "1"
	}
	return redisdb.Call{Script: roleScript, Keys: []string{u.db.Keys.Roles(), u.db.Keys.SuperRoles()}, Args: []any{id, from, to, flag}}
}
