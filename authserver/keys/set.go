package keys

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// Store keeps the key document that all replicas share. Its methods must be safe for concurrent use.
type Store interface {
	// LoadKeys returns the document and its revision, or nil and "" if there is none.
	LoadKeys(ctx context.Context) (document []byte, revision string, err error)
	// SaveKeys replaces the document if it still has the given revision. fosite.ErrSerializationFailure: it has another one.
	SaveKeys(ctx context.Context, document []byte, revision string) error
}

// Config configures a Set. Store is required. Every other field may be left at its zero value.
type Config struct {
	Store Store

	// RSABits is the size of new RSA keys. Default: 2048. Signing with 4096 bits costs six times as much.
	RSABits int

	// Lead is how long a new key is published before it signs. It must be longer than verifiers cache the JWKS. Default:
	// 10 minutes. The first key of an algorithm signs at once.
	Lead time.Duration

	// MaxTokenTTL is how long tokens are valid at most; a retired key is published for as long. Default: 31 days. A token
	// that is valid for longer must be noted (see Set.Note).
	MaxTokenTTL time.Duration

	// RotateEvery is how often Run replaces the signing keys. Zero: never; keys are replaced by Rotate only.
	RotateEvery time.Duration

	// Reload is how often Run loads the keys. Default: 1 second. A load takes a second and a half at most: with the default, a key
	// that another replica revokes is refused here at most five seconds later, also if one load fails.
	Reload time.Duration

	// RefreshEvery is the shortest time between two loads for unknown kids, for which requests wait. Default: 100 ms, so that
	// made-up kids cost the store at most ten reads a second.
	RefreshEvery time.Duration

	// Now is the clock. Default: time.Now.
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
		c.Reload = time.Second
	}
	if c.RefreshEvery == 0 {
		c.RefreshEvery = 100 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Set holds the keys of one server. It is safe for concurrent use. Signer, Verifiers and Document cost no round trip. Errors of
// the store are returned as they are.
type Set struct {
	config  Config
	current atomic.Pointer[snapshot]

	reload  sync.Mutex        // one load or change at a time
	revoked map[string]record // :: kid → its record, for all that were seen revoked; guarded by reload

	refreshing sync.Mutex
	refresh    *refresh  // the load that begins next
	refreshed  time.Time // when the last one began
}

type snapshot struct {
	document // its keys are ordered by Activates, oldest first
	byID     map[string]*Key
	revision string
}

// ErrNoKey is returned while no keys have been loaded, for instance because the store was unreachable at the start. It wraps
// fosite.ErrTemporarilyUnavailable.
var ErrNoKey = fmt.Errorf("keys: no signing key: %w", fosite.ErrTemporarilyUnavailable)

// New returns an empty set. Open or Run loads the keys.
func New(config Config) (*Set, error) {
	if config.Store == nil {
		return nil, errors.New("keys: no store")
	}
	config = config.withDefaults()
	if err := policy.RSABitsProblems(config.RSABits).Err(); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return &Set{config: config, revoked: map[string]record{}}, nil
}

// Open loads the keys and makes the first key of each algorithm that has none. Two servers that open an empty store at the
// same time end up with the same keys.
func (s *Set) Open(ctx context.Context) error {
	return s.change(ctx, func(d *document, now time.Time) error {
		for _, algorithm := range policy.Algorithms() {
			if s.signer(d.keys, algorithm, now) != nil {
				continue
			}
			k, err := s.generate(algorithm, now, now)
			if err != nil {
				return err
			}
			d.keys = append(d.keys, k)
		}
		return nil
	})
}

func (s *Set) generate(algorithm string, now, activates time.Time) (*Key, error) {
	var private crypto.Signer
	id := "-"
	for strings.HasPrefix(id, "-") { // on a command line it would be taken for a flag
		var err error
		if private, err = generate(algorithm, s.config.RSABits); err != nil {
			return nil, err
		}
		if id, err = IDOf(private.Public()); err != nil {
			return nil, err
		}
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

// signer picks the youngest key of the algorithm that has activated. If none has, it is the one that activates next: another
// replica has just replaced a revoked key, and its clock is ahead of this one.
func (s *Set) signer(keys []*Key, algorithm string, now time.Time) *Key {
	for _, k := range slices.Backward(keys) {
		if k.Algorithm == algorithm && k.canSign() && !k.Activates.After(now) {
			return k
		}
	}
	return staged(keys, algorithm, now)
}

// Verifiers returns the keys that may have signed a token with this kid: one or none. For an empty kid these are all imported
// keys whose tokens are still accepted (see AcceptsImported).
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
		if s.AcceptsImported(k) && !s.expired(c.keys, k) {
			imported = append(imported, k)
		}
	}
	return imported
}

// Loaded tells whether keys have been loaded. Before, no signature can be verified.
func (s *Set) Loaded() bool { return s.current.Load() != nil }

// AcceptsImported tells whether tokens that another server signed with the key are accepted: the key was imported, and its last
// day has not passed.
func (s *Set) AcceptsImported(k *Key) bool { return k.Imported && !s.config.Now().After(s.lastDay(k)) }

// lastDay returns when tokens that another server signed with the key are no longer accepted. The first build stored no such
// time.
func (s *Set) lastDay(k *Key) time.Time {
	if k.Until.IsZero() {
		return later(k.Created.Add(s.config.MaxTokenTTL), k.LastExpiry)
	}
	return k.Until
}

// end returns when a key is no longer needed: MaxTokenTTL after the next key of its algorithm activates. Zero: not known yet. A
// key that never signs here ends on its last day.
func (s *Set) end(keys []*Key, k *Key) time.Time {
	if k.VerifyOnly {
		return s.lastDay(k)
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

// Document returns the JWK Set to publish (RFC 7517 section 5) and an entity tag, or ErrNoKey.
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
