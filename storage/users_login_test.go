package storage

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// Time is counted in hashes: a clock would only measure the machine.
func TestEveryRefusalCostsTheSame(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		off := false
		mustAdd(t, u, "alice", "right", "")
		mustAdd(t, u, "disabled", "right", "")
		if err := u.ChangeUser(ctx, "disabled", UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
		for name, hash := range map[string]string{"md5": passwordtest.HarperMD5("right"), "sha256": passwordtest.HarperSHA256("right"), "none": ""} {
			if _, err := importUser(ctx, u, User{Name: name, Active: true}, hash); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			name, password string
			want           error
			runs           int64
		}{
			{"alice", "right", nil, 1},
			{"alice", "wrong", fosite.ErrNotFound, 1},
			{"alice", "", fosite.ErrNotFound, 1},
			{"nobody", "wrong", fosite.ErrNotFound, 1},
			{"nobody", "", fosite.ErrNotFound, 1},
			{"disabled", "wrong", fosite.ErrNotFound, 1},
			{"disabled", "right", fosite.ErrNotFound, 1},
			{"md5", "wrong", fosite.ErrNotFound, 1},
			{"sha256", "wrong", fosite.ErrNotFound, 1},
			{"md5", "right", nil, 1},
			{"sha256", "right", nil, 1},
			{"none", "", fosite.ErrNotFound, 1},
			{"alice", strings.Repeat("x", MaxPassword+1), fosite.ErrNotFound, 0},
			{"nobody", strings.Repeat("x", MaxPassword+1), fosite.ErrNotFound, 0},
		} {
			before := u.PasswordRuns()
			_, err := u.Authenticate(ctx, c.name, c.password)
			if runs := u.PasswordRuns() - before; !errors.Is(err, c.want) || runs != c.runs {
				t.Errorf("%s, %.10q: %v and %d hashes, want %v and %d", c.name, c.password, err, runs, c.want, c.runs)
			}
		}
	})
}

func TestLoginReplacesImportedHash(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		for scheme, hash := range passwordtest.Harper("right") {
			if _, err := importUser(ctx, u, User{Name: scheme, Active: true, Scheme: scheme}, hash); err != nil {
				t.Fatal(err)
			}
			before := record(t, u, scheme)
			if before.Scheme != scheme || before.Hash != hash {
				t.Fatalf("%s: stored as %q", scheme, before.Scheme)
			}
			if _, err := u.Authenticate(ctx, scheme, "wrong"); !errors.Is(err, fosite.ErrNotFound) {
				t.Errorf("%s: %v", scheme, err)
			}
			if got := record(t, u, scheme); got.Hash != hash {
				t.Errorf("%s: a wrong password replaced the hash", scheme)
			}
			for range 2 {
				if _, err := u.Authenticate(ctx, scheme, "right"); err != nil {
					t.Fatalf("%s: %v", scheme, err)
				}
				after := record(t, u, scheme)
				if !strings.HasPrefix(after.Hash, "$argon2id$v=19$m=64,") || after.Scheme != "" || after.Revision != before.Revision {
					t.Errorf("%s: afterwards %+v", scheme, after)
				}
			}
			if user, err := u.User(ctx, scheme); err != nil || user.Scheme != SchemeArgon2id {
				t.Errorf("%s: %+v, %v", scheme, user, err)
			}
		}
		costlier, err := NewUsers(r.Client(t), Options{Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 128, Iterations: 2, Parallelism: 1}, Timeout: hang})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := costlier.Authenticate(ctx, SchemeMD5, "right"); err != nil {
			t.Fatal(err)
		}
		if got := record(t, u, SchemeMD5).Hash; !strings.Contains(got, "$m=128,t=2,p=1$") {
			t.Errorf("after a login with other costs: %s", got)
		}
	})
}

// A password that is set while the old one is being verified stays set.
func TestRehashNeverOverwritesANewPassword(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	if _, err := importUser(ctx, u, User{Name: "alice", Active: true}, passwordtest.HarperMD5("old")); err != nil {
		t.Fatal(err)
	}
	inFlight, err := u.account(ctx, "test", "alice")
	if err != nil {
		t.Fatal(err)
	}
	changed := "new"
	if err := u.ChangeUser(ctx, "alice", UserChange{Password: &changed}); err != nil {
		t.Fatal(err)
	}
	r, err := decodeUser(string(inFlight.record))
	if err != nil {
		t.Fatal(err)
	}
	_, ok, err := u.matches(ctx, inFlight, r, "alice", "old")
	if !ok || err != nil {
		t.Fatalf("the login in flight: %v, %v", ok, err)
	}
	if _, err := u.Authenticate(ctx, "alice", "new"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	_, err = u.Authenticate(ctx, "alice", "old")
	wantErr(t, "the old password", err, fosite.ErrNotFound)
}

// A change that reads, thinks and writes must not lose another one that came between.
func TestConcurrentChangesAreAllKept(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		mustAdd(t, u, "alice", "one", "")
		errs := make(chan error)
		off, role, pass := false, "admin", "two"
		for _, c := range []UserChange{{Active: &off}, {Role: &role}, {Password: &pass}} {
			go func() { errs <- u.ChangeUser(ctx, "alice", c) }()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		_, err := u.VerifyPassword(ctx, "alice", "two", "")
		wantErr(t, "new password, disabled", err, ErrUserDisabled)
		if got := record(t, u, "alice"); got.Role != "admin" {
			t.Errorf("role %q", got.Role)
		}
	})
}

// The throttle costs no round trip of its own before the hash, and one after it.
func TestLoginTakesTwoRoundTrips(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, hook := r.Client(t), &failing{after: -1}
		rdb.AddHook(hook)
		u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
		if err != nil {
			t.Fatal(err)
		}
		off, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang, Throttle: throttle.Limits{Disabled: true}})
		if err != nil {
			t.Fatal(err)
		}
		mustAdd(t, u, "alice", "one", "")
		if _, err := u.Login(t.Context(), "alice", "one", "192.0.2.1"); err != nil {
			t.Fatal(err) // loads the scripts
		}
		ctx, err := (&Tokens{db: u.db}).BeginTX(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		login := func(ctx context.Context, u *Users, password, address string) func() error {
			return func() error { _, err := u.Login(ctx, "alice", password, address); return err }
		}
		for _, step := range []struct {
			what  string
			do    func() error
			err   error
			trips int
		}{
			{"claims alone", func() error { _, err := u.Claims(t.Context(), "alice"); return err }, nil, 1},
			{"login", login(ctx, u, "one", "192.0.2.1"), nil, 2},
			{"claims after the login", func() error { _, err := u.Claims(ctx, "alice"); return err }, nil, 0},
			{"login from a new network", login(t.Context(), u, "one", "198.51.100.1"), nil, 2},
			{"login without an address", login(t.Context(), u, "one", ""), nil, 2},
			{"wrong password", login(t.Context(), u, "two", "192.0.2.1"), fosite.ErrNotFound, 3},
			{"wrong password without an address", login(t.Context(), u, "two", ""), fosite.ErrNotFound, 3},
			{"login without a throttle", login(t.Context(), off, "one", "192.0.2.1"), nil, 1},
			{"wrong password without a throttle", login(t.Context(), off, "two", "192.0.2.1"), fosite.ErrNotFound, 3},
		} {
			hook.set(-1)
			if err := step.do(); !errors.Is(err, step.err) {
				t.Errorf("%s: %v", step.what, err)
			}
			if got := hook.count(); got != step.trips {
				t.Errorf("%s: %d round trips, want %d", step.what, got, step.trips)
			}
		}
	})
}
