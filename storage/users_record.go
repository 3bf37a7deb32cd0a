package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// userRecord is the stored form of a user.
type userRecord struct {
	Version int    `json:"v"`
	Name    string `json:"name"`
	Hash    string `json:"hash,omitempty"`   // empty: no password opens this account
	Scheme  string `json:"scheme,omitempty"` // the form of Hash; empty: argon2id of our own making
	Role    string `json:"role,omitempty"`
	Active  bool   `json:"active"`

	// Revision is another one after every change that must stop logins in flight: a new password, disabled or enabled again,
	// dropped and added again. Transitions compare it with the one that was read with the credentials. A new role is not
	// such a change, nor is the same password under a better hash.
	Revision string `json:"rev"`

	// Imported is a fingerprint of the password that this record was imported with. A change made here empties it: from then
	// on the user is ours, and imports leave it alone.
	Imported string `json:"imported,omitempty"`

	// NotBefore, in milliseconds, is when tokens that another server issued to this name stopped to count. See ImportedTokenValid.
	NotBefore int64 `json:"nb,omitempty"`
	// Refresh is the stored form of the one refresh token that was good at the server the user was imported from. Nil: that
	// is not known. Empty: there was none.
	Refresh *string `json:"refresh,omitempty"`

	Created int64 `json:"created"` // milliseconds
	Updated int64 `json:"updated"`
}

func (r *userRecord) encode() (string, error) {
	r.Version = recordVersion
	raw, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("storage: encode user: %w", err)
	}
	return string(raw), nil
}

func decodeUser(raw []byte) (*userRecord, error) {
	var r userRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, dontKnow("read user", fmt.Errorf("%w: %w", errRecord, err))
	}
	if r.Version != recordVersion {
		return nil, dontKnow("read user", fmt.Errorf("%w: version %d", errRecord, r.Version))
	}
	return &r, nil
}

func (r *userRecord) user(supers []string) User {
	u := User{
		Name: r.Name, Role: r.Role, Active: r.Active, Scheme: r.Scheme,
		Created: time.UnixMilli(r.Created).UTC(), Updated: time.UnixMilli(r.Updated).UTC(),
	}
	if u.Scheme == "" {
		u.Scheme = SchemeArgon2id
	}
	for _, role := range supers {
		u.SuperUser = u.SuperUser || role == r.Role && role != ""
	}
	return u
}

// swapScript replaces a value, but only the one that its caller read: KEYS[1], from ARGV[1] to ARGV[2]. A second run, after
// a lost reply, finds its own work and agrees.
var swapScript = redis.NewScript(`
local found = redis.call('GET', KEYS[1])
if found == ARGV[2] then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)

// addScript stores a record where there is none. KEYS: record, mark of a user who was dropped. ARGV: the record, and 1 where
// the mark forbids it. It answers 1, or 0 where there is a record, or 2 where there is a mark. A second run agrees.
var addScript = redis.NewScript(`
local found = redis.call('GET', KEYS[1])
if found == ARGV[1] then return 1 end
if found then return 0 end
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1`)

// dropScript removes the record that its caller read, and leaves a mark. KEYS: as above. ARGV: the record, the life of the
// mark in milliseconds. A second run finds the mark and agrees.
var dropScript = redis.NewScript(`
local found = redis.call('GET', KEYS[1])
if not found and redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 1`)

// markLife is how long it is remembered that a user was dropped.
const markLife = 365 * 24 * time.Hour

func (u *Users) swapCall(name, from, to string) call {
	return call{script: swapScript, keys: []string{u.db.keys.user(subjectTag(name))}, args: []any{from, to}}
}

func (u *Users) addCall(name, raw string, mindful bool) call {
	tag, flag := subjectTag(name), "0"
	if mindful {
		flag = "1"
	}
	return call{script: addScript, keys: []string{u.db.keys.user(tag), u.db.keys.dropped(tag)}, args: []any{raw, flag}}
}

func (u *Users) dropCall(name, raw string) call {
	tag := subjectTag(name)
	keys := []string{u.db.keys.user(tag), u.db.keys.dropped(tag)}
	return call{script: dropScript, keys: keys, args: []any{raw, markLife.Milliseconds()}}
}

// swap replaces a user record, or answers false when it is not what the caller read.
func (u *Users) swap(ctx context.Context, op, name, from, to string) (bool, error) {
	reply, err := u.db.eval(ctx, op, u.swapCall(name, from, to))
	if err != nil {
		return false, err
	}
	return reply == int64(1), nil
}

var errContended = errors.New("the user record changes all the time")

// edit changes a user record as change says, again from the start if another one came between. It returns the record as it
// was, or fosite.ErrNotFound.
func (u *Users) edit(ctx context.Context, op, name string, change func(r *userRecord) error) (before *userRecord, after string, err error) {
	for range 10 {
		raw, err := u.raw(ctx, op, name)
		if err != nil {
			return nil, "", err
		}
		before, err := decodeUser([]byte(raw))
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
	return nil, "", dontKnow(op, errContended)
}

// raw reads a user record as it is stored, or answers fosite.ErrNotFound.
func (u *Users) raw(ctx context.Context, op, name string) (string, error) {
	var raw string
	err := u.db.do(ctx, op, func(ctx context.Context) error {
		var err error
		raw, err = u.db.rdb.Get(ctx, u.db.keys.user(subjectTag(name))).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", u.db.missing(ctx, op)
	}
	return raw, err
}

func now() int64 { return time.Now().UnixMilli() }
