package throttle

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// wrongSecrets is what this process knows about wrong client secrets. Its keys are HMACs under a random key: they contain no
// secret, and cannot be used to guess one without that key.
type wrongSecrets struct {
	now func() time.Time
	key *fingerprint.Key

	mutex    sync.Mutex
	counted  fingerprint.Memory // :: client, network, secret → until when it is not counted again
	refused  fingerprint.Memory // :: client, network → until when no secret is compared
	failures atomic.Int64
	refusals atomic.Int64
}

func (s *wrongSecrets) init() {
	s.now, s.counted, s.refused = time.Now, make(fingerprint.Memory), make(fingerprint.Memory)
	s.key = fingerprint.NewKey()
}

// SecretRefused tells for how long no secret of the client should be compared that comes from this address: zero if it should be.
// It takes no round trip: this process remembers what WrongSecret was told.
func (t *Throttle) SecretRefused(client, address string) time.Duration {
	if t.limits.PerClient <= 0 {
		return 0
	}
	s := &t.secrets
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.refused) == 0 {
		return 0
	}
	wait := s.refused[s.key.Of(client, t.Network(address))].Sub(s.now())
	if wait <= 0 {
		return 0
	}
	s.refusals.Add(1)
	return wait
}

// WrongSecret counts a wrong secret of a client, in one round trip, unless this process has counted the same one within
// Limits.Window: a client that repeats one wrong secret does not guess. The caller should be told only after WrongSecret has
// succeeded. A client that does not exist is counted like others.
func (t *Throttle) WrongSecret(ctx context.Context, client, secret, address string) error {
	if t.limits.PerClient <= 0 {
		return nil
	}
	network, s := t.Network(address), &t.secrets
	s.failures.Add(1)
	id, place := s.key.Of(client, network, secret), s.key.Of(client, network)
	if s.isCounted(id) {
		return nil
	}
	call := t.reserveCall(t.clientCounter(client, network), newID(), secretTime)
	replies, err := t.db.EvalAll(ctx, "count client secret", []redisdb.Call{call}, nil)
	if err != nil {
		return err
	}
	r, err := readReservation(replies[0])
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := s.now()
	if r.status == counted {
		s.counted.Remember(id, now.Add(t.limits.Window), now)
	}
	if r.wait > 0 {
		s.refused.Remember(place, now.Add(r.wait), now)
	}
	return nil
}

func (s *wrongSecrets) isCounted(id fingerprint.Fingerprint) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.now().Before(s.counted[id])
}
