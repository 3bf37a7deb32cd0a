package storage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/opgrant/opgrant/authserver/policy"
	"golang.org/x/text/unicode/norm"
)

// MaxPassword is the longest password in bytes. A login with a longer one is refused without a hash being computed.
const MaxPassword = 1024

var (
	// ErrPasswordTooLong is the answer to setting a password of more than MaxPassword bytes.
	ErrPasswordTooLong = errors.New("storage: password is longer than 1024 bytes")

	errBusy = errors.New("every core is busy with passwords")
)

// hasher runs password hashes, as many at a time as there are cores: each takes memory as well as time, and a flood of
// logins must end in refusals that say "later", not in a process that is killed.
type hasher struct {
	costs policy.PasswordCosts
	argon *argon2.Hasher
	err   error // why argon is missing
	slots chan struct{}
	wait  time.Duration // how long a login queues for a slot
	runs  atomic.Int64  // argon2 and its like, computed so far
}

func validateCosts(p policy.PasswordCosts) error {
	if err := p.Problems().Err(); err != nil {
		return fmt.Errorf("storage: password costs: %w", err)
	}
	return nil
}

func newHasher(p policy.PasswordCosts) *hasher {
	h := &hasher{costs: p, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), wait: 500 * time.Millisecond}
	if h.err = validateCosts(p); h.err != nil {
		return h
	}
	h.argon, h.err = argon2.New(argon2.WithVariantID(), argon2.WithMemoryInKiB(uint32(p.MemoryKiB)), //nolint:gosec // validated
		argon2.WithIterations(p.Iterations), argon2.WithParallelism(p.Parallelism), argon2.WithS(16), argon2.WithK(32))
	return h
}

// acquire waits for a slot, for a bounded time. Past it the answer is a don't-know.
func (h *hasher) acquire(ctx context.Context) (release func(), err error) {
	if h.err != nil {
		return nil, h.err
	}
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, dontKnow("hash password", errBusy)
	case <-ctx.Done():
		return nil, dontKnow("hash password", ctx.Err())
	}
}

// hash makes the stored form of a new password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", ErrPasswordTooLong
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return h.run(password)
}

// run computes one hash. The caller holds a slot.
func (h *hasher) run(password string) (string, error) {
	h.runs.Add(1)
	digest, err := h.argon.Hash(normalised(password))
	if err != nil {
		return "", fmt.Errorf("storage: hash password: %w", err)
	}
	return digest.Encode(), nil
}

// verify tells whether the password is the one behind a stored hash. A nil one belongs to nobody, and costs as much time
// as a wrong password. fresh, where it is not empty, is what should be stored from now on.
//
// Whatever is stored and whether it matches or not, one hash at today's costs or an imported one of its own costs is
// computed: the time it takes says nothing about the user.
func (h *hasher) verify(ctx context.Context, stored *storedHash, password string) (ok bool, fresh string, err error) {
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

// normalised is the form of a password that this package hashes: NFKC, as NIST SP 800-63B asks for, so that it does not
// matter which keyboard composed an é. Imported hashes are verified against the bytes as they came, because that is what
// the server hashed that made them.
func normalised(password string) string { return norm.NFKC.String(password) }
