package authserver

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// SecretThrottle limits wrong client secrets (RFC 6749 section 2.3.1). Its methods must be safe for concurrent use.
type SecretThrottle interface {
	// SecretRefused tells for how long no secret of the client is to be compared that comes from this address: zero if it is. It
	// is asked before each comparison and should not block.
	SecretRefused(client, address string) time.Duration
	// WrongSecret counts a secret that was wrong, also of a client that does not exist. The client is told only after it has
	// succeeded; an error that wraps fosite.ErrTemporarilyUnavailable becomes 503.
	WrongSecret(ctx context.Context, client, secret, address string) error
}

// compareThrottled returns nil if the secret is one of the client's, and otherwise the answer to the request. A nil client is one
// that does not exist, which must not be told from a wrong secret.
func (s *Server) compareThrottled(ctx context.Context, client Client, c credentials, address string) error {
	throttle := s.config.SecretThrottle
	if throttle != nil && c.secret != "" {
		if wait := throttle.SecretRefused(c.id, address); wait > 0 {
			return tooManyAttempts(wait)
		}
	}
	err := errWrongSecret
	if client != nil {
		err = s.compareSecrets(ctx, client, []byte(c.secret))
	}
	if err == nil || isUnavailable(err) {
		return err
	}
	if throttle != nil && c.secret != "" {
		if err := throttle.WrongSecret(ctx, c.id, c.secret, address); err != nil {
			return err
		}
	}
	return invalidClient(err)
}

// compareSecrets accepts any secret of the client. Two are valid while one replaces the other.
func (s *Server) compareSecrets(ctx context.Context, client Client, secret []byte) error {
	hashes := [][]byte{client.GetHashedSecret()}
	if rotated, ok := client.(fosite.ClientWithSecretRotation); ok {
		hashes = append(hashes, rotated.GetRotatedHashes()...)
	}
	if len(secret) == 0 || len(hashes[0]) == 0 {
		return errWrongSecret
	}
	if slices.ContainsFunc(hashes, slow) {
		ticket, err := s.slowSecrets.Enter(ctx, admission.First)
		if err != nil {
			return err
		}
		defer ticket.Leave()
	}
	for _, hash := range hashes {
		if (Secrets{}).Compare(ctx, hash, secret) == nil {
			return nil
		}
	}
	return errWrongSecret
}

// maxSlowWait is how long a comparison should wait for its turn.
const maxSlowWait = 2 * time.Second

// slowWaitingPerCore is half of what package admission lets run.
const slowWaitingPerCore = 8

// newSlowSecrets returns the gate for secrets whose hash is slow (bcrypt, of another server). Each keeps a core busy for long, and a
// place among the requests while it waits, and whoever sends wrong ones must take neither all cores nor all places.
func newSlowSecrets() *admission.Gate {
	cores := runtime.GOMAXPROCS(0)
	return admission.NewGate(admission.Limits{
		Running: max(1, cores/2), Wait: maxSlowWait, Queue: slowWaitingPerCore * cores, Expect: 50 * time.Millisecond,
	})
}
