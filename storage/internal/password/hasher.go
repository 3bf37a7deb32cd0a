// Package password hashes and verifies passwords: argon2id for those that are set here, and the stored forms of other
// servers for those that were imported.
package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Max is the longest password in bytes.
const Max = 1024

var (
	// ErrTooLong is returned for a new password of more than Max bytes.
	ErrTooLong = errors.New("storage: password is longer than 1024 bytes")

	errBusy = errors.New("every core is busy hashing passwords")
)

// Hasher computes password hashes, as many at a time as there are cores: each needs memory as well as time, and a flood of
// logins must be refused for now rather than exhaust the process. It is safe for concurrent use.
type Hasher struct {
	// Wait is how long a login waits for a core before it is refused as unavailable. New sets 500 ms.
	Wait time.Duration

	costs policy.PasswordCosts
	argon *argon2.Hasher
	slots chan struct{}
	runs  atomic.Int64
}

// New returns a hasher that makes new hashes at the given costs.
func New(costs policy.PasswordCosts) (*Hasher, error) {
	if err := costs.Problems().Err(); err != nil {
		return nil, fmt.Errorf("storage: password costs: %w", err)
	}
	argon, err := argon2.New(argon2.WithVariantID(), argon2.WithMemoryInKiB(uint32(costs.MemoryKiB)), // #nosec G115 -- checked above
		argon2.WithIterations(costs.Iterations), argon2.WithParallelism(costs.Parallelism), argon2.WithS(16), argon2.WithK(32))
	if err != nil {
		return nil, fmt.Errorf("storage: password costs: %w", err)
	}
	return &Hasher{Wait: 500 * time.Millisecond, costs: costs, argon: argon, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}, nil
}

// Runs counts the expensive hashes computed so far.
func (h *Hasher) Runs() int64 { return h.runs.Load() }

// Hash returns the stored form of a new password, or ErrTooLong.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > Max {
		return "", ErrTooLong
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return h.run(password)
}

// Verify tells whether the password is the one behind a stored hash. A nil hash matches no password and takes as long as a
// wrong one. fresh, unless it is empty, should be stored in place of the hash from now on.
//
// Whatever is stored and whether it matches or not, one hash is computed, at the costs of today or at those of an imported
// hash: the time it takes tells nothing about the user.
func (h *Hasher) Verify(ctx context.Context, stored *Stored, password string) (ok bool, fresh string, err error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return false, "", err
	}
	defer release()
	if stored == nil {
		_, err := h.run(password)
		return false, "", err
	}
	if stored.slow {
		h.runs.Add(1)
	}
	ok = stored.match(password)
	if stored.slow && (!ok || stored.current(h.costs)) {
		return ok, "", nil
	}
	made, err := h.run(password)
	if err != nil || !ok {
		return false, "", err
	}
	return true, made, nil
}

// Matches tells whether the secret is the one behind a stored hash, without hiding how long that takes. It is for random
// secrets, which cannot be guessed.
func (h *Hasher) Matches(ctx context.Context, stored *Stored, secret string) (bool, error) {
	if stored.slow {
		release, err := h.acquire(ctx)
		if err != nil {
			return false, err
		}
		defer release()
		h.runs.Add(1)
	}
	return stored.match(secret), nil
}

// acquire waits for a core. When it takes too long the error is marked as unavailable.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	const op = "hash password"
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	timer := time.NewTimer(h.Wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, unavailable.Error(op, errBusy)
	case <-ctx.Done():
		return nil, unavailable.Error(op, ctx.Err())
	}
}

// run computes one hash. The caller has acquired a core.
func (h *Hasher) run(password string) (string, error) {
	h.runs.Add(1)
	digest, err := h.argon.Hash(normalise(password))
	if err != nil {
		return "", fmt.Errorf("storage: hash password: %w", err)
	}
	return digest.Encode(), nil
}

// normalise returns the NFKC form of a password, as NIST SP 800-63B asks for: it must not matter how a keyboard composes an
// é. Imported hashes are verified against the bytes as they came, because that is what the other server hashed.
func normalise(password string) string { return norm.NFKC.String(password) }
