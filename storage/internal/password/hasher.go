// Package password hashes and verifies passwords: argon2id for those that are set here, and the stored forms of other
// servers for those that were imported.
package password

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Max is the longest password in bytes.
const Max = 64 << 10

// ErrTooLong is returned for a new password of more than Max bytes.
var ErrTooLong = errors.New("storage: password is longer than 65536 bytes")

// Hasher computes password hashes, as many at a time as there are cores: each needs memory as well as time, and a flood of
// logins must wait, or be refused for now, rather than exhaust the process. It is safe for concurrent use.
type Hasher struct {
	// Gate admits hashes. New sets one of its own; replace it, before the first use, by one that is shared.
	Gate *admission.Gate

	costs policy.PasswordCosts
	argon *argon2.Hasher
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
	return &Hasher{Gate: admission.NewHashes(nil), costs: costs, argon: argon}, nil
}

// Runs counts the expensive hashes computed so far.
func (h *Hasher) Runs() int64 { return h.runs.Load() }

// Hash returns the stored form of a new password, or ErrTooLong.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > Max {
		return "", ErrTooLong
	}
	ticket, err := h.acquire(ctx, admission.Later)
	if err != nil {
		return "", err
	}
	defer ticket.Leave()
	return h.run(password)
}

// Verify tells whether the password is the one behind a stored hash. A nil hash matches no password and takes as long as a
// wrong one. With replace, a password that matches a hash of another form or of other costs is hashed again: fresh, unless it
// is empty, should be stored from now on.
//
// A refusal has not cost the same for all users yet: see Refuse.
func (h *Hasher) Verify(ctx context.Context, stored *Stored, password string, replace bool) (ok bool, fresh string, err error) {
	ticket, err := h.acquire(ctx, admission.Later)
	if err != nil {
		return false, "", err
	}
	defer ticket.Leave()
	if stored == nil {
		_, err := h.run(password)
		return false, "", err
	}
	if stored.slow {
		h.runs.Add(1)
	}
	ok = stored.match(password)
	if stored.slow && (!ok || !replace || stored.current(h.costs)) {
		return ok, "", nil
	}
	made, err := h.run(password) // also of a wrong password, where the stored hash was a fast one
	if err != nil || !ok || !replace {
		return ok && err == nil, "", err
	}
	return true, made, nil
}

// Refuse completes a refusal after Verify, with the same stored hash and replace not set or not used: it computes the hashes
// that Verify would have computed for the users of every other kind of hash. present lists the kinds that the store holds, as
// Stored.Kind returns them. Every refusal then costs one hash of each kind, whoever the user is, so that its time does not
// tell whether there is such a user.
func (h *Hasher) Refuse(ctx context.Context, stored *Stored, password string, present []string) error {
	own := stored == nil || !stored.slow || stored.current(h.costs)
	var others []*Stored
	for _, kind := range present {
		if kind == stored.Kind() {
			continue
		}
		other, err := parseKind(kind)
		if err == nil && !other.current(h.costs) { // kinds of a later version are skipped
			others = append(others, other)
		}
	}
	if own && len(others) == 0 {
		return nil
	}
	ticket, err := h.Gate.Continue(ctx) // Verify has spent a hash on it
	if err != nil {
		return unavailable.Error(opHash, err)
	}
	defer ticket.Leave()
	if !own {
		if _, err := h.run(password); err != nil {
			return err
		}
	}
	for _, other := range others {
		h.runs.Add(1)
		other.match(password)
	}
	return nil
}

// Matches tells whether the secret is the one behind a stored hash, without hiding how long that takes. It is for random
// secrets, which cannot be guessed.
func (h *Hasher) Matches(ctx context.Context, stored *Stored, secret string) (bool, error) {
	if stored.slow {
		ticket, err := h.acquire(ctx, admission.First)
		if err != nil {
			return false, err
		}
		defer ticket.Leave()
		h.runs.Add(1)
	}
	return stored.match(secret), nil
}

// OwnKind returns the kind of the hashes that are made here now.
func (h *Hasher) OwnKind() string {
	return fmt.Sprintf(" $argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.costs.MemoryKiB, h.costs.Iterations, h.costs.Parallelism,
		strings.Repeat("A", 22), strings.Repeat("A", 43)) // 16 and 32 bytes
}

// acquire waits for a core. When it would take too long the error is marked as unavailable.
func (h *Hasher) acquire(ctx context.Context, p admission.Priority) (admission.Ticket, error) {
	ticket, err := h.Gate.Enter(ctx, p)
	return ticket, unavailable.Error(opHash, err)
}

const opHash = "hash password"

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
