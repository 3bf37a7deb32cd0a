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
// document. With Options.Secret it is encrypted, so that reading Redis is not enough to sign tokens.
type Keys struct {
	db     *redisdb.DB
	cipher *seal.Cipher // nil: stored in plain text
}

// ErrSealed is returned when the stored keys were encrypted with another secret than Options.Secret, or Options.Secret is
// empty and they were encrypted.
var ErrSealed = errors.New("storage: cannot decrypt the signing keys: they were encrypted with a different server secret")

func newKeys(db *redisdb.DB, secret []byte) (*Keys, error) {
	if len(secret) == 0 {
		return &Keys{db: db}, nil
	}
	cipher, err := seal.New(secret, "opgrant signing keys")
	if err != nil {
		return nil, fmt.Errorf("storage: signing keys: %w", err)
	}
	return &Keys{db: db, cipher: cipher}, nil
}

// storedKeys is the stored form of the document.
type storedKeys struct {
	Version  int    `json:"v"`
	Revision string `json:"rev"`
	Sealed   bool   `json:"sealed,omitempty"`
	Data     []byte `json:"data"`
}

// LoadKeys returns the document and its revision, or nil and "" when none was saved yet.
func (k *Keys) LoadKeys(ctx context.Context) (document []byte, revision string, err error) {
	const op = "load keys"
	var raw string
	err = k.db.Do(ctx, op, func(ctx context.Context) error {
		raw, err = k.db.Client.Get(ctx, k.db.Keys.SigningKeys()).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, "", k.db.CheckEpoch(ctx, op)
	}
	if err != nil {
		return nil, "", err
	}
	var stored storedKeys
	if err := decodeRecord(op, raw, &stored, &stored.Version); err != nil {
		return nil, "", err
	}
	document, err = k.open(stored)
	return document, stored.Revision, err
}

func (k *Keys) open(stored storedKeys) ([]byte, error) {
	if !stored.Sealed {
		return stored.Data, nil
	}
	if k.cipher == nil {
		return nil, ErrSealed
	}
	document, err := k.cipher.Open(stored.Data)
	if err != nil {
		return nil, ErrSealed
	}
	return document, nil
}

// SaveKeys replaces the document if its revision is still the given one ("" when none was saved yet).
// fosite.ErrSerializationFailure: another server was first; load it again.
func (k *Keys) SaveKeys(ctx context.Context, document []byte, revision string) error {
	stored := storedKeys{Version: recordVersion, Revision: redisdb.RandomID(), Data: document}
	if k.cipher != nil {
		stored.Sealed, stored.Data = true, k.cipher.Seal(document)
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

// saveKeysScript replaces the document.
//
//	KEYS  1 the document
//	ARGV  1 the new document   2 revision that it replaces, empty for none   3 its own revision
//	reply 1, also when it ran before and its reply was lost; 0: the stored revision is another one
var saveKeysScript = redisdb.NewScript(`
local raw = redis.call('GET', KEYS[1])
local revision = raw and cjson.decode(raw).rev or ''
if revision == ARGV[3] then return 1 end
if revision ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`)
