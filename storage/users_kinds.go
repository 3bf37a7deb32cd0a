package storage

import (
	"context"
	"slices"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// maxHashKinds bounds what a refusal may cost. A store with more kinds of hashes hides the users of the first ones alone.
const maxHashKinds = 8

// CountHashKinds looks at all users for the kinds of hashes that the store holds: forms and costs that take different times to
// verify. A refused login computes one hash of each, so that its time does not tell which users exist. Imports and logins add
// kinds as they meet them; CountHashKinds removes those that no user has any more, and with them their cost. Call it when a
// server starts and once a day.
//
// It takes one round trip where all hashes are our own, otherwise two for every 500 users. An import that runs at the same time
// may lose its kind, until the next login of one of its users.
func (u *Users) CountHashKinds(ctx context.Context) error {
	const op = "count hash kinds"
	before, err := u.hashKinds(ctx, op)
	if err != nil {
		return err
	}
	own := u.hasher.OwnKind()
	if len(before) == 1 && before[0] == own {
		return nil
	}
	found := []string{own}
	err = u.each(ctx, op, func(r *userRecord, _ []string) error {
		if kind := hashKind(r.Scheme, r.Hash); kind != "" && !slices.Contains(found, kind) && len(found) < maxHashKinds {
			found = append(found, kind)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := u.addHashKinds(ctx, op, found...); err != nil {
		return err
	}
	gone := slices.DeleteFunc(before, func(kind string) bool { return slices.Contains(found, kind) })
	if len(gone) == 0 {
		return nil
	}
	_, err = u.db.Eval(ctx, op, redisdb.Command("SREM", u.db.Keys.HashKinds(), anys(gone)...))
	return err
}

// hashKind returns the kind of a stored hash, empty for one that is fast or that cannot be read.
func hashKind(scheme, hash string) string {
	stored, err := password.Parse(scheme, hash)
	if err != nil {
		return ""
	}
	return stored.Kind()
}

// hashKinds returns the kinds of hashes that the store holds.
func (u *Users) hashKinds(ctx context.Context, op string) ([]string, error) {
	var kinds []string
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		kinds, err = u.db.Client.SMembers(ctx, u.db.Keys.HashKinds()).Result()
		return err
	})
	return firstKinds(kinds), err
}

// firstKinds are the kinds that refusals hide.
func firstKinds(kinds []string) []string {
	slices.Sort(kinds)
	return kinds[:min(len(kinds), maxHashKinds)]
}

func (u *Users) addHashKinds(ctx context.Context, op string, kinds ...string) error {
	if len(kinds) == 0 {
		return nil
	}
	_, err := u.db.Eval(ctx, op, redisdb.Command("SADD", u.db.Keys.HashKinds(), anys(kinds)...))
	return err
}

func anys(list []string) []any {
	args := make([]any, len(list))
	for i, s := range list {
		args[i] = s
	}
	return args
}
