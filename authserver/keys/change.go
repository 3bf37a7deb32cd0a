package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"
)

// Info describes a key.
type Info struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Stage     string    `json:"stage"` // next, active, retired or revoked
	Created   time.Time `json:"created,omitzero"`
	Activates time.Time `json:"activates,omitzero"`
	// Ends is when the key leaves the JWKS. Zero until a newer key of its algorithm exists. For a revoked key it is when it was
	// revoked.
	Ends time.Time `json:"ends,omitzero"`
	// Imported is true for a key of another server. Until is when tokens of that server are no longer accepted.
	Imported bool      `json:"imported,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// List loads and returns all keys, the one with the latest activation first, and then the revoked ones.
func (s *Set) List(ctx context.Context) ([]Info, error) {
	if err := s.Load(ctx); err != nil {
		return nil, err
	}
	c, now := s.current.Load(), s.config.Now()
	if c == nil {
		return nil, nil // a store without keys yet
	}
	var list []Info
	for _, k := range slices.Backward(c.keys) {
		info := Info{
			ID: k.ID, Algorithm: k.Algorithm, Created: k.Created, Activates: k.Activates,
			Imported: k.Imported, Ends: s.end(c.keys, k), Stage: "retired",
		}
		if k.Imported {
			info.Until = s.lastDay(k)
		}
		switch {
		case k.Activates.After(now):
			info.Stage = "next"
		case s.signer(c.keys, k.Algorithm, now) == k:
			info.Stage = "active"
		}
		list = append(list, info)
	}
	for _, r := range slices.Backward(c.revoked) {
		list = append(list, Info{ID: r.ID, Algorithm: r.Algorithm[len(revokedPrefix):], Stage: "revoked", Ends: r.Created})
	}
	return list, nil
}

// Rotate publishes a new key of the algorithm, which signs after Config.Lead. If one is waiting already, Rotate changes nothing
// and returns its ID. immediately skips the lead. The key that signed before goes on to verify: after a leak use Revoke.
func (s *Set) Rotate(ctx context.Context, algorithm string, immediately bool) (id string, err error) {
	if err := s.Load(ctx); err != nil {
		return "", err
	}
	if c := s.current.Load(); c != nil && !immediately {
		if k := staged(c.keys, algorithm, s.config.Now()); k != nil {
			return k.ID, nil
		}
	}
	// Before the lock: it can take seconds to make an RSA key, and meanwhile the set must notice what other replicas revoke.
	fresh, err := s.generate(algorithm, time.Time{}, time.Time{})
	if err != nil {
		return "", err
	}
	err = s.change(ctx, func(d *document, now time.Time) error {
		if !immediately {
			if k := staged(d.keys, algorithm, now); k != nil {
				id = k.ID
				return nil
			}
		}
		k := *fresh
		k.Created, k.Activates = now.UTC(), now.UTC()
		if !immediately {
			k.Activates = now.Add(s.config.Lead).UTC()
		}
		id = k.ID
		d.keys = append(d.keys, &k)
		return nil
	})
	return id, err
}

// DefaultImportTTL is how long tokens of an imported key are accepted by default. The longest tokens of a HarperDB server are
// valid for 30 days by default.
const DefaultImportTTL = 31 * 24 * time.Hour

// Import adds a key of another server: private, or public if private is nil. A private key signs from now on unless verifyOnly
// is true; a public key only verifies. Tokens without a kid and without a session are accepted if an imported key signed them,
// until the given time; zero: DefaultImportTTL from now. A key that signs is replaced by a new one by then (see Run); it still
// verifies what it signed here.
//
// added is false if the set has the key already. Then an until that is not zero replaces its own. ErrRevoked: the key was revoked
// and does not come back. ErrPast: until has passed.
func (s *Set) Import(ctx context.Context, private crypto.Signer, public crypto.PublicKey, verifyOnly bool, until time.Time) (id string, added bool, err error) {
	if private != nil {
		public = private.Public()
	}
	algorithm, err := AlgorithmOf(public)
	if err != nil {
		return "", false, err
	}
	if id, err = IDOf(public); err != nil {
		return "", false, err
	}
	err = s.change(ctx, func(d *document, now time.Time) error {
		added = false
		if _, revoked := d.revocationOf(id); revoked {
			return fmt.Errorf("%w: %s", ErrRevoked, id)
		}
		if !until.IsZero() && !until.After(now) {
			return ErrPast
		}
		if k := d.find(id); k != nil {
			if k.Imported && !until.IsZero() {
				changed := *k
				changed.Until = until.UTC()
				d.replace(changed)
			}
			return nil
		}
		added = true
		last := until
		if last.IsZero() {
			last = now.Add(DefaultImportTTL)
		}
		d.keys = append(d.keys, &Key{
			ID: id, Algorithm: algorithm, Created: now.UTC(), Activates: now.UTC(), Imported: true, Until: last.UTC(),
			VerifyOnly: verifyOnly || private == nil, Private: private, Public: public,
		})
		return nil
	})
	return id, added, err
}

// Note tells the set that a token of the key expires at expires, so that the key is published until then. Only a token that
// is valid for longer than Config.MaxTokenTTL costs a write, and most of those do not: the noted time is rounded up to a
// month.
func (s *Set) Note(ctx context.Context, k *Key, expires time.Time) error {
	if expires.After(endOfTime) {
		expires = endOfTime
	}
	if !expires.After(s.config.Now().Add(s.config.MaxTokenTTL)) || !expires.After(k.LastExpiry) {
		return nil
	}
	return s.change(ctx, func(d *document, _ time.Time) error {
		if found := d.find(k.ID); found != nil && expires.After(found.LastExpiry) {
			noted := *found
			noted.LastExpiry = monthAfter(expires)
			d.replace(noted)
		}
		return nil
	})
}

func monthAfter(t time.Time) time.Time {
	t = t.UTC()
	if !t.Before(endOfTime) {
		return endOfTime
	}
	return time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// Load loads the keys from the store once. Keys that were loaded before stay in use if it fails.
func (s *Set) Load(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	return s.load(ctx)
}

func (s *Set) load(ctx context.Context) error {
	document, revision, err := s.config.Store.LoadKeys(ctx)
	if err != nil {
		return err
	}
	if c := s.current.Load(); c != nil && c.revision == revision {
		return nil
	}
	if document == nil && s.current.Load() != nil {
		return fmt.Errorf("keys: the store has lost its keys: %w", fosite.ErrTemporarilyUnavailable)
	}
	d, err := s.read(document)
	if err != nil {
		return err
	}
	if len(d.keys) > 0 || len(d.revoked) > 0 {
		s.current.Store(newSnapshot(d, revision))
	}
	return nil
}

// change applies a change to the stored document, and again if another replica changed it at the same time. It also removes
// expired keys.
func (s *Set) change(ctx context.Context, apply func(d *document, now time.Time) error) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	for {
		document, revision, err := s.config.Store.LoadKeys(ctx)
		if err != nil {
			return err
		}
		d, err := s.read(document)
		if err != nil {
			return err
		}
		all := slices.Clone(d.keys)
		d.keys = slices.DeleteFunc(d.keys, func(k *Key) bool { return s.expired(all, k) })
		if err := apply(&d, s.config.Now()); err != nil {
			return err
		}
		sortKeys(d.keys)
		changed, err := d.encode()
		if err != nil {
			return err
		}
		if string(changed) == string(document) {
			s.current.Store(newSnapshot(d, revision))
			return nil
		}
		switch err := s.config.Store.SaveKeys(ctx, changed, revision); {
		case err == nil:
			return s.load(ctx)
		case !errors.Is(err, fosite.ErrSerializationFailure):
			return err
		}
	}
}

func newSnapshot(d document, revision string) *snapshot {
	c := &snapshot{document: d, byID: make(map[string]*Key, len(d.keys)), revision: revision}
	for _, k := range d.keys {
		c.byID[k.ID] = k
	}
	return c
}
