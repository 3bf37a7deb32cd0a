package storage

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"
)

// Keys stores the signing keys of a server as one document, which all replicas share. What is in it is the server's
// business. With Options.Secret the document is sealed (AES-256-GCM), so that Redis alone gives nobody a key.
type Keys struct {
	db *db
}

// NewKeys returns the key store alone.
func NewKeys(rdb redis.UniversalClient, options Options) (*Keys, error) {
	d, err := newDB(rdb, options)
	if err != nil {
		return nil, err
	}
	return &Keys{db: d}, nil
}

type storedKeys struct {
	Version  int    `json:"v"`
	Revision string `json:"rev"`
	Sealed   bool   `json:"sealed,omitempty"`
	Data     []byte `json:"data"`
}

// ErrSealed is returned when the stored keys were sealed with another secret than Options.Secret, or with one where
// Options.Secret is empty.
var ErrSealed = errors.New("storage: the signing keys are sealed with another secret")

// LoadKeys returns the document and its revision, or nil and "" where none was saved yet.
func (k *Keys) LoadKeys(ctx context.Context) (document []byte, revision string, err error) {
	var raw string
	err = k.db.do(ctx, "load keys", func(ctx context.Context) error {
		raw, err = k.db.rdb.Get(ctx, k.db.keys.signing()).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		if err := k.db.checkEpoch(ctx); err != nil {
			return nil, "", dontKnow("load keys", err)
		}
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	var stored storedKeys
	if err := json.Unmarshal([]byte(raw), &stored); err != nil {
		return nil, "", dontKnow("load keys", fmt.Errorf("%w: %w", errRecord, err))
	}
	if stored.Version != recordVersion {
		return nil, "", dontKnow("load keys", fmt.Errorf("%w: version %d", errRecord, stored.Version))
	}
	document, err = k.unseal(stored)
	return document, stored.Revision, err
}

// SaveKeys replaces the document if its revision is still the given one ("" for none yet). fosite.ErrSerializationFailure:
// somebody else was first; load it again.
func (k *Keys) SaveKeys(ctx context.Context, document []byte, revision string) error {
	stored := storedKeys{Version: recordVersion, Revision: randomID(), Data: document}
	if len(k.db.options.Secret) > 0 {
		aead, err := k.aead()
		if err != nil {
			return err
		}
		nonce := make([]byte, aead.NonceSize())
		_, _ = rand.Read(nonce)
		stored.Sealed, stored.Data = true, aead.Seal(nonce, nonce, document, nil)
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("storage: encode keys: %w", err)
	}
	c := call{script: saveKeysScript, keys: []string{k.db.keys.signing()}, args: []any{raw, revision, stored.Revision}}
	reply, err := k.db.eval(ctx, "save keys", c)
	if err != nil {
		return err
	}
	if reply == int64(0) {
		return fosite.ErrSerializationFailure
	}
	return nil
}

var saveKeysScript = redis.NewScript(`
local raw = redis.call('GET', KEYS[1])
local revision = raw and cjson.decode(raw).rev or ''
if revision == ARGV[3] then return 1 end
if revision ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`)

func (k *Keys) unseal(stored storedKeys) ([]byte, error) {
	if !stored.Sealed {
		return stored.Data, nil
	}
	if len(k.db.options.Secret) == 0 {
		return nil, ErrSealed
	}
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	if len(stored.Data) < aead.NonceSize() {
		return nil, ErrSealed
	}
	nonce, sealed := stored.Data[:aead.NonceSize()], stored.Data[aead.NonceSize():]
	document, err := aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, ErrSealed
	}
	return document, nil
}

func (k *Keys) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.db.options.Secret, nil, "opgrant signing keys", 32)
	if err != nil {
		return nil, fmt.Errorf("storage: derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("storage: derive key: %w", err)
	}
	return cipher.NewGCM(block)
}
