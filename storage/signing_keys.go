package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/seal"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Keys stores the signing keys of a server as one document, which all its replicas share. The store does not look into the
// document. With Options.Secret it is encrypted, so that reading Redis is not enough to sign tokens, and an unencrypted document
// is refused, so that neither is writing to Redis.
type Keys struct {
	db      *redisdb.DB
	ciphers []*seal.Cipher // the first encrypts, all decrypt; none: stored in plain text
}

var (
	// ErrSealed is returned when the stored keys were encrypted with another secret than Options.Secret and
	// Options.OtherSecrets, or these are empty and they were encrypted.
	ErrSealed = errors.New("storage: cannot decrypt the signing keys: they were encrypted with a different server secret")
	// ErrUnsealed is returned when the stored keys are not encrypted although Options.Secret is set.
	ErrUnsealed = errors.New("storage: the signing keys in Redis are not encrypted, although a server secret is set; " +
		"`opgrant key reseal --accept-unsealed` encrypts them, if you are sure that nobody has replaced them")
	// ErrNoSecret is returned by Keys.Reseal without Options.Secret.
	ErrNoSecret = errors.New("storage: no server secret is set")
)

func newKeys(db *redisdb.DB, options Options) (*Keys, error) {
	k := &Keys{db: db}
	if len(options.Secret) == 0 {
		if len(options.OtherSecrets) > 0 {
			return nil, errors.New("storage: OtherSecrets without Secret")
		}
		return k, nil
	}
	for _, secret := range append([][]byte{options.Secret}, options.OtherSecrets...) {
		cipher, err := seal.New(secret, "opgrant signing keys")
		if err != nil {
			return nil, fmt.Errorf("storage: signing keys: %w", err)
		}
		k.ciphers = append(k.ciphers, cipher)
	}
	return k, nil
}

// storedKeys is the stored form of the document.
type storedKeys struct {
	Version  int    `json:"v"`
	Revision string `json:"rev"`
	Sealed   bool   `json:"sealed,omitempty"`
	Data     []byte `json:"data"`
}

// LoadKeys returns the document and its revision, or nil and "" when none was saved yet. ErrSealed, ErrUnsealed: the document
// cannot be read with the secrets of this store.
func (k *Keys) LoadKeys(ctx context.Context) (document []byte, revision string, err error) {
	stored, err := k.read(ctx)
	if stored == nil || err != nil {
		return nil, "", err
	}
	document, err = k.open(stored)
	return document, stored.Revision, err
}

// read returns what is stored, or nil when nothing was saved yet.
func (k *Keys) read(ctx context.Context) (*storedKeys, error) {
	const op = "load keys"
	var raw string
	err := k.db.Do(ctx, op, func(ctx context.Context) error {
		var err error
		raw, err = k.db.Client.Get(ctx, k.db.Keys.SigningKeys()).Result()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	if err != nil {
		return nil, k.db.CheckEpoch(ctx, op)
	}
	// Also for keys that are there: with the keys of another store, a server would refuse the tokens of its own.
	if err := k.db.CheckFound(ctx, op); err != nil {
		return nil, err
	}
	stored := &storedKeys{}
	if err := decodeRecord(op, raw, stored, &stored.Version); err != nil {
		return nil, err
	}
	return stored, nil
}

func (k *Keys) open(stored *storedKeys) ([]byte, error) {
	switch {
	case stored.Sealed == (len(k.ciphers) > 0):
	case stored.Sealed:
		return nil, ErrSealed
	default:
		return nil, ErrUnsealed
	}
	if !stored.Sealed {
		return stored.Data, nil
	}
	for _, cipher := range k.ciphers {
		if document, err := cipher.Open(stored.Data); err == nil {
			return document, nil
		}
	}
	return nil, ErrSealed
}

// SaveKeys replaces the document if its revision is still the given one ("" when none was saved yet).
// fosite.ErrSerializationFailure: another server was first; load it again.
func (k *Keys) SaveKeys(ctx context.Context, document []byte, revision string) error {
	stored := storedKeys{Version: jsonVersion, Revision: redisdb.RandomID(), Data: document}
	if len(k.ciphers) > 0 {
		stored.Sealed, stored.Data = true, k.ciphers[0].Seal(document)
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("storage: encode keys: %w", err)
	}
	c := redisdb.Call{Script: saveKeysScript, Keys: []string{k.db.Keys.SigningKeys()}, Args: []any{raw, revision, stored.Revision}}
	reply, err := k.db.Eval(ctx, "save keys", c)
	if err != nil {
		return err
	}
	if reply == int64(0) {
		return fosite.ErrSerializationFailure
	}
	return nil
}

// Reseal encrypts the stored document under Options.Secret, and tells whether it was not so before. A document that is not
// encrypted at all is accepted only if acceptUnsealed is true, because anyone who can write to Redis could have put it there;
// otherwise the error is ErrUnsealed. Servers that do not have the secret keep the keys that they have loaded, and cannot start
// again. fosite.ErrNotFound: there are no keys yet.
func (k *Keys) Reseal(ctx context.Context, acceptUnsealed bool) (resealed bool, err error) {
	if len(k.ciphers) == 0 {
		return false, ErrNoSecret
	}
	for {
		stored, err := k.read(ctx)
		if err != nil {
			return false, err
		}
		if stored == nil {
			return false, fosite.ErrNotFound
		}
		document := stored.Data
		if stored.Sealed {
			if _, err := k.ciphers[0].Open(stored.Data); err == nil {
				return false, nil
			}
		}
		if stored.Sealed || !acceptUnsealed {
			if document, err = k.open(stored); err != nil {
				return false, err
			}
		}
		err = k.SaveKeys(ctx, document, stored.Revision)
		if !errors.Is(err, fosite.ErrSerializationFailure) {
			return err == nil, err
		}
	}
}

// saveKeysScript replaces the document.
//
//	KEYS  1 the document
//	ARGV  1 the new document   2 revision that it replaces, empty for none   3 its own revision
//	reply 1; 0: the stored revision is another one
//	twice finds its own revision, and replies 1
var saveKeysScript = redisdb.NewScript(`
local raw = redis.call('GET', KEYS[1])
local revision = raw and cjson.decode(raw).rev or ''
if revision == ARGV[3] then return 1 end
if revision ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`)
