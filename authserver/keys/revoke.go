package keys

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrUnknownKey is returned by Revoke for a key that is not in the set.
var ErrUnknownKey = errors.New("keys: no such key")

// ErrPast is returned by Import for a last day in the past.
var ErrPast = errors.New("keys: the last day of an imported key is in the past")

// ErrRevoked is returned by Import for a key that was revoked.
var ErrRevoked = errors.New("keys: the key was revoked and cannot be imported again")

// Revoke takes a key out of the set for good: it signs and verifies nothing more, leaves the JWKS at once, and cannot be imported
// again. Other replicas follow when they load the keys next (see Config.Reload). Every token that the key signed is refused from
// then on. If the key signs now, the next key of its algorithm takes its place at once, or a new one if none is waiting; a
// verifier that caches the JWKS must fetch it again for this key's ID.
//
// Revoke returns the ID of the key that signs for the algorithm, or "" if there is none, and ErrUnknownKey if the set has no such
// key. Revoking a key again changes nothing. After any other error the key may or may not be revoked, and Revoke may be repeated.
func (s *Set) Revoke(ctx context.Context, id string) (signer string, err error) {
	err = s.change(ctx, func(d *document, now time.Time) error {
		k := d.find(id)
		algorithm := ""
		switch r, revoked := d.revocationOf(id); {
		case revoked:
			algorithm = r.Algorithm[len(revokedPrefix):]
		case k == nil:
			return ErrUnknownKey
		default:
			algorithm = k.Algorithm
			if err := s.remove(d, k, now); err != nil {
				return err
			}
		}
		signer = ""
		if next := s.signer(d.keys, algorithm, now); next != nil {
			signer = next.ID
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return signer, nil
}

// remove replaces a key by its revocation, and by another signer if it signs now.
func (s *Set) remove(d *document, k *Key, now time.Time) error {
	r, err := revocation(k, now)
	if err != nil {
		return err
	}
	signs := s.signer(d.keys, k.Algorithm, now) == k
	d.keys = slices.DeleteFunc(d.keys, func(other *Key) bool { return other == k })
	d.revoked = append(d.revoked, r)
	if !signs {
		return nil
	}
	if next := staged(d.keys, k.Algorithm, now); next != nil {
		successor := *next
		successor.Activates = now.UTC()
		d.replace(successor)
		return nil
	}
	successor, err := s.generate(k.Algorithm, now, now)
	if err != nil {
		return err
	}
	d.keys = append(d.keys, successor)
	return nil
}

// staged returns the key of the algorithm that begins to sign next, or nil.
func staged(keys []*Key, algorithm string, now time.Time) *Key {
	for _, k := range keys {
		if k.Algorithm == algorithm && k.canSign() && k.Activates.After(now) {
			return k
		}
	}
	return nil
}
