package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// userRecord is the stored form of a user.
type userRecord struct {
	Version int    `json:"v"`
	Name    string `json:"name"`
	Hash    string `json:"hash,omitempty"`   // empty: no password opens this account
	Scheme  string `json:"scheme,omitempty"` // the form of Hash; empty: argon2id, made here
	Role    string `json:"role,omitempty"`
	Active  bool   `json:"active"`

	// Revision changes with everything that must stop logins in flight: a new password, sessions ended, disabled or enabled,
	// dropped and added again. A transition compares it with the one that was read with the credentials. It does not change with the role, nor
	// with a better hash of the same password.
	Revision string `json:"rev"`

	// Generation changes when all sessions of the user are ended: by a new password, by RevokeSubject, or because the name was
	// given to a new user. A session keeps the one that it was opened under, and has ended when the two differ. Empty in
	// records of the first build.
	Generation string `json:"gen,omitempty"`

	// Imported is a fingerprint of the password that this record was imported with. A change made here empties it, and later
	// imports then leave the user alone. verifiedAtSource: the source verified the password, and its hash there is not known.
	Imported string `json:"imported,omitempty"`
	// Follows tells that the user is one of the server that the installation moves from. See Import.Follows.
	Follows bool `json:"follows,omitempty"`

	// NotBefore, in milliseconds: tokens that another server issued to this name before are refused. See ImportedTokenValid.
	NotBefore int64 `json:"nb,omitempty"`
	// Refresh is the stored form of the user's refresh token at the server that the user was imported from. Nil: not known.
	// Empty: there was none.
	Refresh *string `json:"refresh,omitempty"`

	Created int64 `json:"created"` // milliseconds
	Updated int64 `json:"updated"`
}

// verifiedAtSource is userRecord.Imported of a user who was added by AddVerifiedUser. No fingerprint is that short.
const verifiedAtSource = "verified"

// newGeneration returns a value that differs from the ones before it. It is not secret, and each session keeps one.
func newGeneration() string { return redisdb.RandomID()[:8] }

// endSessions ends all sessions of the user, stops those that are being opened, and refuses the tokens that another server has issued to the name so far.
func (r *userRecord) endSessions() {
	r.Generation, r.Revision, r.NotBefore = newGeneration(), redisdb.RandomID(), now()
}

func (r *userRecord) encode() (string, error) {
	r.Version = jsonVersion
	raw, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("storage: encode user: %w", err)
	}
	return string(raw), nil
}

func decodeUser(raw string) (*userRecord, error) {
	var r userRecord
	if err := decodeRecord("read user", raw, &r, &r.Version); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *userRecord) user(superRoles []string) User {
	u := User{
		Name: r.Name, Role: r.Role, Active: r.Active, Scheme: r.Scheme,
		Created: time.UnixMilli(r.Created).UTC(), Updated: time.UnixMilli(r.Updated).UTC(),
	}
	if u.Scheme == "" {
		u.Scheme = SchemeArgon2id
	}
	for _, role := range superRoles {
		u.SuperUser = u.SuperUser || role == r.Role && role != ""
	}
	return u
}

// swapScript replaces a record, unless it has changed since it was read.
//
//	KEYS  1 record
//	ARGV  1 the record as it was read, empty for none   2 as it is to be
//	reply 1; 0: it has changed
//	twice finds the record as it is to be, and replies 1
var swapScript = redisdb.NewScript(`
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[2] then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)

// addScript stores a record where there is none. Where there is one, no mark is needed: a repeat removes what a failure has left.
//
//	KEYS  1 record   2 mark of a user who was dropped
//	ARGV  1 the record   2 the mark that forbids it, '*' for any, empty for none
//	reply 1; 0: there is a record; 2: there is such a mark
//	twice finds its own record, and replies 1
var addScript = redisdb.NewScript(`
local found = redis.call('GET', KEYS[1])
if found then
  redis.call('DEL', KEYS[2])
  return found == ARGV[1] and 1 or 0
end
local mark = redis.call('GET', KEYS[2])
if mark and (mark == ARGV[2] or ARGV[2] == '*') then return 2 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1`)

// dropScript removes a record, unless it has changed since it was read, and leaves a mark.
//
//	KEYS  1 record   2 mark of a user who was dropped
//	ARGV  1 the record as it was read   2 TTL of the mark in ms   3 the mark
//	reply 1; 0: it has changed
//	twice finds the mark and no record, and replies 1
var dropScript = redisdb.NewScript(`
local found = redis.call('GET', KEYS[1])
if not found and redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 1`)

// droppedTTL is how long it is remembered that a user was dropped.
const droppedTTL = 365 * 24 * time.Hour

func (u *Users) swapCall(name, from, to string) redisdb.Call {
	return redisdb.Call{Script: swapScript, Keys: []string{u.db.Keys.User(redisdb.SubjectTag(name))}, Args: []any{from, to}}
}

// addCall adds a record, but not that of a user who was dropped with the mark.
func (u *Users) addCall(name, raw, mark string) redisdb.Call {
	tag := redisdb.SubjectTag(name)
	return redisdb.Call{Script: addScript, Keys: []string{u.db.Keys.User(tag), u.db.Keys.Dropped(tag)}, Args: []any{raw, mark}}
}

func (u *Users) dropCall(name, raw, mark string) redisdb.Call {
	tag := redisdb.SubjectTag(name)
	keys := []string{u.db.Keys.User(tag), u.db.Keys.Dropped(tag)}
	return redisdb.Call{Script: dropScript, Keys: keys, Args: []any{raw, droppedTTL.Milliseconds(), mark}}
}

// swap replaces a user record, or returns false when it has changed since it was read.
func (u *Users) swap(ctx context.Context, op, name, from, to string) (bool, error) {
	reply, err := u.db.Eval(ctx, op, u.swapCall(name, from, to))
	if err != nil {
		return false, err
	}
	return reply == int64(1), nil
}

// errContended is the cause when a record changes each time before it can be replaced.
var errContended = errors.New("the record is being changed by too many others")

// edit changes a user record, from the start again if it changes meanwhile. It returns the record before and after, or
// fosite.ErrNotFound.
func (u *Users) edit(ctx context.Context, op, name string, change func(r *userRecord) error) (before *userRecord, after string, err error) {
	for range 10 {
		raw, err := u.raw(ctx, op, name)
		if err != nil {
			return nil, "", err
		}
		before, err := decodeUser(raw)
		if err != nil {
			return nil, "", err
		}
		r := *before
		if err := change(&r); err != nil {
			return nil, "", err
		}
		after, err := r.encode()
		if err != nil {
			return nil, "", err
		}
		done, err := u.swap(ctx, op, name, raw, after)
		if err != nil {
			return nil, "", err
		}
		if done {
			return before, after, nil
		}
	}
	return nil, "", unavailable.Error(op, errContended)
}

// raw returns a user record as it is stored, or fosite.ErrNotFound.
func (u *Users) raw(ctx context.Context, op, name string) (string, error) {
	var raw string
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		raw, err = u.db.Client.Get(ctx, u.db.Keys.User(redisdb.SubjectTag(name))).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", u.db.Missing(ctx, op)
	}
	return raw, err
}

// now is the time in milliseconds, as records store it.
func now() int64 { return time.Now().UnixMilli() }
