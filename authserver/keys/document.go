package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// document is the decoded form of what the store keeps: the keys, and what is left of revoked ones.
type document struct {
	keys    []*Key
	revoked []record
	// incomplete tells that the stored document has lost a revocation that this process knows.
	incomplete bool
}

// A revoked key leaves a record under its ID, so that it cannot come back. Servers of the first build read this record as a
// key that never signs, never expires and fits no token: its algorithm is none, and nobody has the private half of its public
// key. So they refuse the tokens of the revoked key too, and keep the record when they write the document.
const revokedPrefix = "revoked "

func revocation(k *Key, now time.Time) (record, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader) // the private half is thrown away
	if err != nil {
		return record{}, fmt.Errorf("keys: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return record{}, fmt.Errorf("keys: %w", err)
	}
	return record{
		ID: k.ID, Algorithm: revokedPrefix + k.Algorithm, Created: now.UTC(), Activates: now.UTC(), LastExpiry: endOfTime,
		VerifyOnly: true, Public: der,
	}, nil
}

func (r record) isRevoked() bool { return strings.HasPrefix(r.Algorithm, revokedPrefix) }

// revocationOf returns the record of a revoked key. ok is false if the key was not revoked.
func (d *document) revocationOf(id string) (r record, ok bool) {
	for _, r := range d.revoked {
		if r.ID == id {
			return r, true
		}
	}
	return record{}, false
}

// find returns the key with the ID, or nil.
func (d *document) find(id string) *Key {
	for _, k := range d.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// replace puts a changed copy of a key in its place.
func (d *document) replace(changed Key) {
	for i, k := range d.keys {
		if k.ID == changed.ID {
			d.keys[i] = &changed
		}
	}
}

// read decodes a stored document. What this process has seen revoked stays revoked, even if the store has returned to an older
// document, for example after a fail-over. The caller holds s.reload.
func (s *Set) read(raw []byte) (document, error) {
	d, err := decode(raw)
	if err != nil {
		return d, err
	}
	for _, r := range d.revoked {
		s.revoked[r.ID] = r
	}
	for _, r := range s.revoked {
		if _, ok := d.revocationOf(r.ID); !ok {
			d.revoked, d.incomplete = append(d.revoked, r), true
		}
	}
	d.keys = slices.DeleteFunc(d.keys, func(k *Key) bool {
		_, revoked := s.revoked[k.ID]
		return revoked
	})
	return d, nil
}

func decode(raw []byte) (document, error) {
	var d document
	if raw == nil {
		return d, nil
	}
	var records []record
	if err := json.Unmarshal(raw, &records); err != nil {
		return d, fmt.Errorf("keys: decode: %w", err)
	}
	for _, r := range records {
		if r.isRevoked() {
			d.revoked = append(d.revoked, r)
			continue
		}
		k, err := r.key()
		if err != nil {
			return d, fmt.Errorf("keys: decode %s: %w", r.ID, err)
		}
		d.keys = append(d.keys, k)
	}
	sortKeys(d.keys)
	return d, nil
}

func (d *document) encode() ([]byte, error) {
	records := make([]record, 0, len(d.keys)+len(d.revoked))
	for _, k := range d.keys {
		r, err := k.record()
		if err != nil {
			return nil, fmt.Errorf("keys: encode %s: %w", k.ID, err)
		}
		records = append(records, r)
	}
	records = append(records, d.revoked...)
	// In the order of every build, so that none rewrites what another has written.
	slices.SortStableFunc(records, func(a, b record) int { return a.Activates.Compare(b.Activates) })
	return json.Marshal(records)
}

func sortKeys(keys []*Key) {
	slices.SortStableFunc(keys, func(a, b *Key) int { return a.Activates.Compare(b.Activates) })
}

// endOfTime is the last month that can be written as JSON (RFC 3339 has four digits for the year).
var endOfTime = time.Date(9999, time.December, 1, 0, 0, 0, 0, time.UTC)
