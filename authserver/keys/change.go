package keys

import (
	"context"
	"crypto"
	"encoding/json"
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
	Stage     string    `json:"stage"` // next, active or retired
	Created   time.Time `json:"created"`
	Activates time.Time `json:"activates"`
	// Ends is when the key leaves the JWKS. Zero until a newer key of its algorithm exists.
	Ends     time.Time `json:"ends,omitzero"`
	Imported bool      `json:"imported,omitempty"`
}

// List loads and returns all keys, the one with the latest activation first.
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
		switch {
		case k.Activates.After(now):
			info.Stage = "next"
		case s.signer(c.keys, k.Algorithm, now) == k:
			info.Stage = "active"
		}
		list = append(list, info)
	}
	return list, nil
}

// Rotate publishes a new key of the algorithm, which signs after Config.Lead. If one is waiting already, Rotate changes nothing
// and returns its ID. immediately skips the lead, for a key that has leaked.
func (s *Set) Rotate(ctx context.Context, algorithm string, immediately bool) (id string, err error) {
	err = s.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		if !immediately {
			for _, k := range keys {
				if k.Algorithm == algorithm && k.Activates.After(now) {
					id = k.ID
					return keys, nil
				}
			}
		}
		k, err := s.generate(algorithm, now, now)
		if err != nil {
			return nil, err
		}
		if !immediately {
			// From now, not from the call: on a busy machine it takes seconds to make an RSA key.
			k.Activates = s.config.Now().Add(s.config.Lead).UTC()
		}
		id = k.ID
		return append(keys, k), nil
	})
	return id, err
}

// Import adds a key of another server: private, or public if private is nil. A private key signs from now on unless verifyOnly
// is true; a public key only verifies. Tokens without a kid are accepted if an imported key signed them. added is false if
// the set has the key already.
func (s *Set) Import(ctx context.Context, private crypto.Signer, public crypto.PublicKey, verifyOnly bool) (id string, added bool, err error) {
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
	err = s.change(ctx, func(keys []*Key, now time.Time) ([]*Key, error) {
		added = false
		if slices.ContainsFunc(keys, func(k *Key) bool { return k.ID == id }) {
			return keys, nil
		}
		added = true
		return append(keys, &Key{
			ID: id, Algorithm: algorithm, Created: now.UTC(), Activates: now.UTC(), Imported: true,
			VerifyOnly: verifyOnly || private == nil, Private: private, Public: public,
		}), nil
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
	return s.change(ctx, func(keys []*Key, _ time.Time) ([]*Key, error) {
		for i, found := range keys {
			if found.ID == k.ID && expires.After(found.LastExpiry) {
				noted := *found
				noted.LastExpiry = monthAfter(expires)
				keys[i] = &noted
			}
		}
		return keys, nil
	})
}

// endOfTime is the last month that can be written as JSON (RFC 3339 has four digits for the year).
var endOfTime = time.Date(9999, time.December, 1, 0, 0, 0, 0, time.UTC)

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
	keys, err := decode(document)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		s.current.Store(newSnapshot(keys, revision))
	}
	return nil
}

// change applies a change to the stored document, and again if another replica changed it at the same time. It also removes
// expired keys.
func (s *Set) change(ctx context.Context, apply func(keys []*Key, now time.Time) ([]*Key, error)) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	for {
		document, revision, err := s.config.Store.LoadKeys(ctx)
		if err != nil {
			return err
		}
		keys, err := decode(document)
		if err != nil {
			return err
		}
		all := slices.Clone(keys)
		keys = slices.DeleteFunc(keys, func(k *Key) bool { return s.expired(all, k) })
		keys, err = apply(keys, s.config.Now())
		if err != nil {
			return err
		}
		sortKeys(keys)
		changed, err := encode(keys)
		if err != nil {
			return err
		}
		if string(changed) == string(document) {
			s.current.Store(newSnapshot(keys, revision))
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

func newSnapshot(keys []*Key, revision string) *snapshot {
	c := &snapshot{keys: keys, byID: make(map[string]*Key, len(keys)), revision: revision}
	for _, k := range keys {
		c.byID[k.ID] = k
	}
	return c
}

func sortKeys(keys []*Key) {
	slices.SortStableFunc(keys, func(a, b *Key) int { return a.Activates.Compare(b.Activates) })
}

func encode(keys []*Key) ([]byte, error) {
	records := make([]record, 0, len(keys))
	for _, k := range keys {
		r, err := k.record()
		if err != nil {
			return nil, fmt.Errorf("keys: encode %s: %w", k.ID, err)
		}
		records = append(records, r)
	}
	return json.Marshal(records)
}

func decode(document []byte) ([]*Key, error) {
	if document == nil {
		return nil, nil
	}
	var records []record
	if err := json.Unmarshal(document, &records); err != nil {
		return nil, fmt.Errorf("keys: decode: %w", err)
	}
	keys := make([]*Key, 0, len(records))
	for _, r := range records {
		k, err := r.key()
		if err != nil {
			return nil, fmt.Errorf("keys: decode %s: %w", r.ID, err)
		}
		keys = append(keys, k)
	}
	sortKeys(keys)
	return keys, nil
}
