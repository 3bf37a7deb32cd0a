package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// ErrIssuerKey is returned for a key without an issuer, a subject or an ID, and for one that is not a valid public key.
var ErrIssuerKey = errors.New("storage: a key of an issuer needs issuer, subject, key ID and a public key")

// maxIssuerKeys bounds the keys that one issuer has for one subject.
const maxIssuerKeys = 100

// PutIssuerKey stores a key, new or in place of the one with its issuer, subject and key ID. It returns ErrIssuerKey for one that is
// not complete or not public, and for more than 100 of an issuer for one subject. Other servers use it at once.
func (i *Issuers) PutIssuerKey(ctx context.Context, key IssuerKey) error {
	if key.Issuer == "" || key.Subject == "" || key.Key.KeyID == "" || !key.Key.Valid() || !key.Key.IsPublic() {
		return ErrIssuerKey
	}
	stored := storedKey{Key: key.Key, Scopes: key.Scopes}
	return i.edit(ctx, "store issuer key", key.Issuer, key.Subject, func(keys []storedKey) ([]storedKey, error) {
		at := slices.IndexFunc(keys, func(k storedKey) bool { return k.Key.KeyID == key.Key.KeyID })
		switch {
		case at >= 0:
			keys[at] = stored
		case len(keys) >= maxIssuerKeys:
			return nil, ErrIssuerKey
		default:
			keys = append(keys, stored)
		}
		return keys, nil
	})
}

// RemoveIssuerKey removes a key, or returns fosite.ErrNotFound. Access tokens that were issued for its assertions stay valid.
func (i *Issuers) RemoveIssuerKey(ctx context.Context, issuer, subject, keyID string) error {
	return i.edit(ctx, "remove issuer key", issuer, subject, func(keys []storedKey) ([]storedKey, error) {
		left := slices.DeleteFunc(slices.Clone(keys), func(k storedKey) bool { return k.Key.KeyID == keyID })
		if len(left) == len(keys) {
			return nil, fosite.ErrNotFound
		}
		return left, nil
	})
}

// ListIssuerKeys returns all keys, ordered by issuer, subject and key ID.
func (i *Issuers) ListIssuerKeys(ctx context.Context) ([]IssuerKey, error) {
	const op = "list issuer keys"
	var all map[string]string
	err := i.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = i.db.Client.HGetAll(ctx, i.db.Keys.Issuers()).Result()
		return err
	})
	if err == nil && len(all) == 0 {
		err = i.db.CheckEpoch(ctx, op)
	}
	if err != nil {
		return nil, err
	}
	var list []IssuerKey
	for _, raw := range all {
		record, err := decodeIssuer(raw)
		if err != nil {
			return nil, err
		}
		for _, k := range record.Keys {
			list = append(list, IssuerKey{Issuer: record.Issuer, Subject: record.Subject, Key: k.Key, Scopes: k.Scopes})
		}
	}
	slices.SortFunc(list, func(a, b IssuerKey) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Key.KeyID, b.Key.KeyID))
	})
	return list, nil
}

// edit changes the keys of an issuer for a subject, from the start again if they change meanwhile.
func (i *Issuers) edit(ctx context.Context, op, issuer, subject string, change func([]storedKey) ([]storedKey, error)) error {
	for range 10 {
		record, before, err := i.read(ctx, issuer, subject)
		if errors.Is(err, fosite.ErrNotFound) && !unavailable.Is(err) {
			record, err = &issuerRecord{}, nil
		}
		if err != nil {
			return err
		}
		keys, err := change(record.Keys)
		if err != nil {
			return err
		}
		after := ""
		if len(keys) > 0 {
			changed := issuerRecord{Version: jsonVersion, Issuer: issuer, Subject: subject, Keys: keys}
			if after, err = changed.encode(); err != nil {
				return err
			}
		}
		done, err := i.db.Eval(ctx, op, redisdb.Call{
			Script: swapFieldScript, Keys: []string{i.db.Keys.Issuers()}, Args: []any{issuerField(issuer, subject), before, after},
		})
		if err != nil || done == int64(1) {
			return err
		}
	}
	return unavailable.Error(op, errContended)
}

// swapFieldScript replaces a field, unless it has changed since it was read.
//
//	KEYS  1 hash
//	ARGV  1 field   2 its value as it was read, empty for none   3 as it is to be, empty to remove it
//	reply 1; 0: it has changed
//	twice finds the field as it is to be, and replies 1
var swapFieldScript = redisdb.NewScript(`
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 1 end
if found ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1`)
