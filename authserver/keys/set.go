package keys

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// Store keeps the key document for all replicas.
type Store interface {
	// LoadKeys returns the document and its revision, or nil and "" where there is none.
	LoadKeys(ctx context.Context) (document []byte, revision string, err error)
	// SaveKeys replaces the document if its revision is still the given one. fosite.ErrSerializationFailure: it is not.
	SaveKeys(ctx context.Context, document []byte, revision string) error
}

// Config tunes a Set. Store is required; every other zero value is a sound default.
type Config struct {
	Store Store

	// RSABits is the size of new RSA keys. Default 2048: 4096 costs six times as much per token.
	RSABits int

	// Lead is how long a new key is published before it signs. It must be longer than verifiers cache the JWKS. Default
	// 10 minutes. The first key of an algorithm signs at once.
	Lead time.Duration

	// MaxTokenTTL is the longest life that tokens have; a retired key is published for as long. Default 31 days. Tokens
	// that live longer are noted one by one (see Note).
	MaxTokenTTL time.Duration

	// RotateEvery makes Maintain begin a rotation when the signing key is that old. Zero: only by hand.
	RotateEvery time.Duration

	// Reload is how often Run asks the store for news. Default 10 s.
	Reload time.Duration

	// RefreshEvery is the distance between two looks at the store for kids that are not known, which whoever sends such a
	// token waits for. Default 100 ms: made-up kids cost the store no more than ten reads a second.
	RefreshEvery time.Duration

	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.RSABits == 0 {
		c.RSABits = policy.DefaultRSABits
	}
	if c.Lead == 0 {
		c.Lead = 10 * time.Minute
	}
	if c.MaxTokenTTL == 0 {
		c.MaxTokenTTL = 31 * 24 * time.Hour
	}
	if c.Reload == 0 {
		c.Reload = 10 * time.Second
	}
	if c.RefreshEvery == 0 {
		c.RefreshEvery = 100 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Set is the keys of one server. It is safe for concurrent use. Reading costs no round trip.
type Set struct {
	config  Config
	current atomic.Pointer[snapshot]

	reload sync.Mutex // one load at a time

	refreshing sync.Mutex
	refresh    *refresh  // the look at the store that is about to begin
	refreshed  time.Time // when the last one began
}

type snapshot struct {
	keys     []*Key // ordered by Activates, oldest first
	byID     map[string]*Key
	revision string
}

// ErrNoKey is returned while no key for an algorithm has been loaded, as when the store could not be reached at start.
var ErrNoKey = fmt.Errorf("keys: no signing key: %w", fosite.ErrTemporarilyUnavailable)

// New returns an empty set. Open fills it.
func New(config Config) (*Set, error) {
	if config.Store == nil {
		return nil, errors.New("keys: no store")
	}
	config = config.withDefaults()
	if err := policy.RSABitsProblems(config.RSABits).Err(); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return &Set{config: config}, nil
}

// Open loads the keys, and makes the first one of each algorithm where there is none. Two servers that open an empty store
// at once end up with the same keys.
func (s *Set) Open(ctx context.Context) error {
	return s.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		for _, algorithm := range policy.Algorithms() {
			if s.signer(keys, algorithm, now) != nil {
				continue
			}
			k, err := s.generate(algorithm, now, now)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		return keys, nil
	})
}

func (s *Set) generate(algorithm string, now, activates time.Time) (*Key, error) {
	private, err := generate(algorithm, s.config.RSABits)
	if err != nil {
		return nil, err
	}
	id, err := IDOf(private.Public())
	if err != nil {
		return nil, err
	}
	return &Key{
		ID: id, Algorithm: algorithm, Created: now.UTC(), Activates: activates.UTC(),
		Private: private, Public: private.Public(),
	}, nil
}

// Signer returns the key that signs now, or ErrNoKey.
func (s *Set) Signer(algorithm string) (*Key, error) {
	if c := s.current.Load(); c != nil {
		if k := s.signer(c.keys, algorithm, s.config.Now()); k != nil {
			return k, nil
		}
	}
	return nil, ErrNoKey
}

// signer picks the youngest key of the algorithm that has activated.
func (s *Set) signer(keys []*Key, algorithm string, now time.Time) *Key {
	for _, k := range slices.Backward(keys) {
		if k.Algorithm == algorithm && !k.VerifyOnly && k.Private != nil && !k.Activates.After(now) {
			return k
		}
	}
	return nil
}

// Verifiers returns the keys that a token with this kid may have been signed by: one, or none. A token without a kid may
// have been signed by any imported key.
func (s *Set) Verifiers(kid string) []*Key {
	c := s.current.Load()
	if c == nil {
		return nil
	}
	if kid != "" {
		if k := c.byID[kid]; k != nil && !s.expired(c.keys, k) {
			return []*Key{k}
		}
		return nil
	}
	var imported []*Key
	for _, k := range c.keys {
		if k.Imported && !s.expired(c.keys, k) {
			imported = append(imported, k)
		}
	}
	return imported
}

// Loaded tells whether keys have been loaded at least once: before, no verdict on a signature is possible.
func (s *Set) Loaded() bool { return s.current.Load() != nil }

// end returns when a key is no longer needed: MaxTokenTTL after the next one of its algorithm has activated. Zero: not yet.
func (s *Set) end(keys []*Key, k *Key) time.Time {
	if k.VerifyOnly {
		return later(k.Created.Add(s.config.MaxTokenTTL), k.LastExpiry)
	}
	for _, next := range keys {
		if next.Algorithm == k.Algorithm && !next.VerifyOnly && next.Activates.After(k.Activates) {
			return later(next.Activates.Add(s.config.MaxTokenTTL), k.LastExpiry)
		}
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *Set) expired(keys []*Key, k *Key) bool {
	end := s.end(keys, k)
	return !end.IsZero() && s.config.Now().After(end)
}

// Document is what the JWKS endpoint serves (RFC 7517 section 5), with an entity tag for it.
func (s *Set) Document() (body []byte, etag string, err error) {
	c := s.current.Load()
	if c == nil {
		return nil, "", ErrNoKey
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range c.keys {
		if !s.expired(c.keys, k) {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
		}
	}
	body, err = json.Marshal(set)
	if err != nil {
		return nil, "", fmt.Errorf("keys: encode: %w", err)
	}
	sum := sha256.Sum256(body)
	return body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, nil
}
