package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
)

var cheap = passwordtest.Cheap

func mustNew(t *testing.T, costs policy.PasswordCosts) *Hasher {
	t.Helper()
	h, err := New(costs)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func mustVerify(t *testing.T, h *Hasher, scheme, stored, password string) (ok bool, fresh string) {
	t.Helper()
	s, err := Parse(scheme, stored)
	if err != nil {
		t.Fatalf("%s: %v", stored, err)
	}
	ok, fresh, err = h.Verify(t.Context(), s, password, true)
	if err != nil {
		t.Fatal(err)
	}
	return ok, fresh
}

func TestDefaultCostsAreThoseThatOWASPAsksFor(t *testing.T) {
	h := mustNew(t, policy.PasswordCosts{}.WithDefaults())
	made, err := h.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash: %s", made)
	}
	if ok, fresh := mustVerify(t, h, "", made, "secret"); !ok || fresh != "" {
		t.Errorf("verify: %v, fresh %q", ok, fresh)
	}
	again, err := h.Hash(t.Context(), "secret")
	if err != nil || again == made {
		t.Errorf("two hashes of one password are equal: %v", err)
	}
}

func TestPasswordsAreComparedWhole(t *testing.T) {
	h := mustNew(t, cheap)
	for _, n := range []int{0, 1, 8, 64, 71, 72, 73, 128, 1025, Max} {
		password := strings.Repeat("x", n)
		made, err := h.Hash(t.Context(), password)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if ok, _ := mustVerify(t, h, "", made, password); !ok {
			t.Errorf("%d bytes: refused", n)
		}
		other := "y"
		if n > 0 {
			other = password[:n-1] + "y"
		}
		if ok, _ := mustVerify(t, h, "", made, other); ok {
			t.Errorf("%d bytes: the last one does not count", n)
		}
	}
	runs := h.runs.Load()
	_, err := h.Hash(t.Context(), strings.Repeat("x", Max+1))
	wantErr(t, "65537 bytes", err, ErrTooLong)
	if h.runs.Load() != runs {
		t.Error("65537 bytes: hashed")
	}
}

func TestPasswordsAreNormalised(t *testing.T) {
	h := mustNew(t, cheap)
	for _, forms := range [][]string{
		{"caf\u00e9", "cafe\u0301", "\uff43af\u00e9"},
		{"\u212b", "\u00c5", "A\u030a"},
		{"a\x00b"},
		{"\xff\xfe"},
		{"   "},
	} {
		for _, set := range forms {
			made, err := h.Hash(t.Context(), set)
			if err != nil {
				t.Fatal(err)
			}
			for _, typed := range forms {
				if ok, _ := mustVerify(t, h, "", made, typed); !ok {
					t.Errorf("set as %+q, typed as %+q: refused", set, typed)
				}
			}
		}
	}
	made, _ := h.Hash(t.Context(), "a\x00b")
	if ok, _ := mustVerify(t, h, "", made, "a\x00c"); ok {
		t.Error("what follows a NUL does not count")
	}
}

func TestOutdatedCostsAreReplaced(t *testing.T) {
	made, err := mustNew(t, cheap).Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []policy.PasswordCosts{
		{InsecureCheap: true, MemoryKiB: 128, Iterations: 1, Parallelism: 1}, {InsecureCheap: true, MemoryKiB: 64, Iterations: 2, Parallelism: 1}, {InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 2},
	} {
		ok, fresh := mustVerify(t, mustNew(t, p), "", made, "secret")
		if want := fmt.Sprintf("$m=%d,t=%d,p=%d$", p.MemoryKiB, p.Iterations, p.Parallelism); !ok || !strings.Contains(fresh, want) {
			t.Errorf("%+v: %v, replaced by %q", p, ok, fresh)
		}
		if ok, fresh := mustVerify(t, mustNew(t, p), "", made, "wrong"); ok || fresh != "" {
			t.Errorf("%+v: a wrong password replaces the hash: %v %q", p, ok, fresh)
		}
	}
}

func TestAbsurdParametersAreRefused(t *testing.T) {
	for _, p := range []policy.PasswordCosts{{MemoryKiB: 1 << 21}, {MemoryKiB: 4}, {Iterations: 1000}, {Parallelism: 255}, {MemoryKiB: -1}, {Iterations: -1}} {
		if err := p.WithDefaults().Problems().Err(); err == nil {
			t.Errorf("%+v: accepted", p)
		}
		if _, err := New(p.WithDefaults()); err == nil {
			t.Errorf("%+v: hashes", p)
		}
	}
	if err := (policy.PasswordCosts{}).WithDefaults().Problems().Err(); err != nil {
		t.Error(err)
	}
}

// A burst of logins waits for a core, 18 seconds if need be. What would wait longer is refused at once.
func TestAFloodOfPasswordsWaitsForACore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time is fake
		h := mustNew(t, cheap)
		cores := runtime.GOMAXPROCS(0)
		busy := make([]admission.Ticket, cores)
		for i := range busy {
			var err error
			if busy[i], err = h.Gate.Enter(t.Context(), admission.Later); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		var all sync.WaitGroup
		var verified, refused atomic.Int64
		for range 10 * 720 * cores { // of 25 ms each
			all.Go(func() {
				_, _, err := h.Verify(t.Context(), nil, "secret", true)
				switch took := time.Since(begun); {
				case err == nil:
					verified.Add(1)
				case took != 0:
					t.Errorf("refused after %v", took)
				default:
					refused.Add(1)
					wantErr(t, "flooded", err, fosite.ErrTemporarilyUnavailable)
				}
			})
		}
		synctest.Wait()
		time.Sleep(14 * time.Second)
		if h.Runs() != 0 {
			t.Errorf("%d hashes were computed while every core was busy", h.Runs())
		}
		for i := range busy {
			busy[i].Leave()
		}
		all.Wait()
		if n := verified.Load(); n != int64(720*cores) || n+refused.Load() != int64(10*720*cores) {
			t.Errorf("%d verified, %d refused", n, refused.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Hash(ctx, "secret"); err != nil {
			t.Errorf("with a free core: %v", err)
		}
	})
}
