package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/rfc7523"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Issuers is the registry of the keys by which issuers sign assertions for subjects (RFC 7523 section 2.1), and fosite's
// RFC7523KeyStorage. It is safe for concurrent use. Package authserver does not use it: there a client has keys of its own.
type Issuers struct{ db *redisdb.DB }

var _ rfc7523.RFC7523KeyStorage = (*Issuers)(nil)

// IssuerKey is a public key by which an issuer signs assertions about one subject, and what they are good for.
type IssuerKey struct {
	// Issuer and Subject are the claims "iss" and "sub" of the assertions. Both are required.
	Issuer, Subject string
	// Key is the public key. Its KeyID is required: it names the key, and assertions name it in their header.
	Key jose.JSONWebKey
	// Scopes are those that a request with such an assertion may have. Empty: none.
	Scopes []string
}

// GetPublicKey implements fosite's RFC7523KeyStorage, in one round trip. fosite.ErrNotFound: there is no such key.
func (i *Issuers) GetPublicKey(ctx context.Context, issuer, subject, keyID string) (*jose.JSONWebKey, error) {
	key, err := i.key(ctx, issuer, subject, keyID)
	if err != nil {
		return nil, err
	}
	return &key.Key, nil
}

// GetPublicKeys implements fosite's RFC7523KeyStorage, in one round trip. fosite.ErrNotFound: there is no key for the two.
func (i *Issuers) GetPublicKeys(ctx context.Context, issuer, subject string) (*jose.JSONWebKeySet, error) {
	record, _, err := i.read(ctx, issuer, subject)
	if err != nil {
		return nil, err
	}
	set := &jose.JSONWebKeySet{}
	for _, k := range record.Keys {
		set.Keys = append(set.Keys, k.Key)
	}
	return set, nil
}

// GetPublicKeyScopes implements fosite's RFC7523KeyStorage, in one round trip. fosite.ErrNotFound: there is no such key.
func (i *Issuers) GetPublicKeyScopes(ctx context.Context, issuer, subject, keyID string) ([]string, error) {
	key, err := i.key(ctx, issuer, subject, keyID)
	if err != nil {
		return nil, err
	}
	return key.Scopes, nil
}

// IsJWTUsed implements fosite's RFC7523KeyStorage, in one round trip. As in fosite's own store, an assertion that a client has
// authenticated with counts too.
func (i *Issuers) IsJWTUsed(ctx context.Context, jti string) (bool, error) {
	err := assertionUsed(ctx, i.db, jti)
	if errors.Is(err, fosite.ErrJTIKnown) {
		return true, nil
	}
	return false, err
}

// MarkJWTUsedForTime implements fosite's RFC7523KeyStorage, in one round trip: of any number of callers one gets nil, and the others
// fosite.ErrJTIKnown.
func (i *Issuers) MarkJWTUsedForTime(ctx context.Context, jti string, expires time.Time) error {
	return markAssertion(ctx, i.db, jti, expires)
}

// issuerRecord holds the keys of one issuer for one subject.
type issuerRecord struct {
	Version int         `json:"v"`
	Issuer  string      `json:"issuer"`
	Subject string      `json:"subject"`
	Keys    []storedKey `json:"keys"` // in the order in which they were added
}

type storedKey struct {
	Key    jose.JSONWebKey `json:"key"`
	Scopes []string        `json:"scopes,omitempty"`
}

const opReadIssuer = "read issuer keys"

// issuerField names the record of an issuer and a subject. The text before the hash of the subject has one length.
func issuerField(issuer, subject string) string { return redisdb.Hash(redisdb.Hash(issuer) + subject) }

// read returns the keys of an issuer for a subject and the record as it is stored, or fosite.ErrNotFound.
func (i *Issuers) read(ctx context.Context, issuer, subject string) (record *issuerRecord, raw string, err error) {
	err = i.db.Do(ctx, opReadIssuer, func(ctx context.Context) error {
		var err error
		raw, err = i.db.Client.HGet(ctx, i.db.Keys.Issuers(), issuerField(issuer, subject)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, "", i.db.Missing(ctx, opReadIssuer)
	}
	if err != nil {
		return nil, "", err
	}
	record, err = decodeIssuer(raw)
	return record, raw, err
}

func decodeIssuer(raw string) (*issuerRecord, error) {
	record := &issuerRecord{}
	if err := decodeRecord(opReadIssuer, raw, record, &record.Version); err != nil {
		return nil, err
	}
	if len(record.Keys) == 0 {
		return nil, unavailable.Error(opReadIssuer, unavailable.ErrRecord)
	}
	return record, nil
}

func (r *issuerRecord) encode() (string, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("storage: encode issuer keys: %w", err)
	}
	return string(raw), nil
}

func (i *Issuers) key(ctx context.Context, issuer, subject, keyID string) (*storedKey, error) {
	record, _, err := i.read(ctx, issuer, subject)
	if err != nil {
		return nil, err
	}
	for n := range record.Keys {
		if record.Keys[n].Key.KeyID == keyID {
			return &record.Keys[n], nil
		}
	}
	return nil, fosite.ErrNotFound
}
