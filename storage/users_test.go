package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestUserLifecycle(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		_, err := u.User(ctx, "alice")
		wantErr(t, "read before add", err, fosite.ErrNotFound)
		mustAdd(t, u, "alice", "one", "reader")
		wantErr(t, "add again", u.AddUser(ctx, User{Name: "alice"}, "other"), ErrExists)

		subject, err := u.Authenticate(ctx, "alice", "one")
		if subject != "alice" || err != nil {
			t.Errorf("login: %q, %v", subject, err)
		}
		got, err := u.User(ctx, "alice")
		want := User{Name: "alice", Role: "reader", Active: true, Scheme: SchemeArgon2id}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(User{}, "Created", "Updated")); diff != "" || err != nil {
			t.Errorf("user: %v %s", err, diff)
		}
		if age := time.Since(got.Created); age < 0 || age > time.Minute || got.Updated != got.Created {
			t.Errorf("created %v, updated %v", got.Created, got.Updated)
		}

		for _, bad := range [][2]string{{"alice", "two"}, {"alice", ""}, {"Alice", "one"}, {"nobody", "one"}, {"", "one"}, {"ａlice", "one"}} {
			_, err := u.Authenticate(ctx, bad[0], bad[1])
			wantErr(t, fmt.Sprintf("login %q", bad), err, fosite.ErrNotFound)
		}

		off, on := false, true
		if err := u.ChangeUser(ctx, "alice", UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
		_, err = u.Authenticate(ctx, "alice", "one")
		wantErr(t, "login of a disabled user", err, fosite.ErrNotFound)
		_, err = u.VerifyPassword(ctx, "alice", "one", "")
		wantErr(t, "verify of a disabled user", err, ErrUserDisabled)
		_, err = u.VerifyPassword(ctx, "alice", "two", "")
		wantErr(t, "wrong password of a disabled user", err, fosite.ErrNotFound)
		_, err = u.Claims(ctx, "alice")
		wantErr(t, "claims of a disabled user", err, fosite.ErrNotFound)

		two, admin := "two", "admin"
		if err := u.ChangeUser(ctx, "alice", UserChange{Active: &on, Password: &two, Role: &admin}); err != nil {
			t.Fatal(err)
		}
		_, err = u.Authenticate(ctx, "alice", "one")
		wantErr(t, "login with the old password", err, fosite.ErrNotFound)
		verified, err := u.VerifyPassword(ctx, "alice", "two", "")
		if err != nil || verified.Role != "admin" {
			t.Errorf("login with the new password: %+v, %v", verified, err)
		}

		if err := u.DropUser(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "drop again", u.DropUser(ctx, "alice"), fosite.ErrNotFound)
		wantErr(t, "change after drop", u.ChangeUser(ctx, "alice", UserChange{Password: &two}), fosite.ErrNotFound)
		_, err = u.Authenticate(ctx, "alice", "two")
		wantErr(t, "login after drop", err, fosite.ErrNotFound)
		_, err = u.Claims(ctx, "alice")
		wantErr(t, "claims after drop", err, fosite.ErrNotFound)
		if list, err := u.ListUsers(ctx); len(list) != 0 || err != nil {
			t.Errorf("list after drop: %v, %v", list, err)
		}
		mustAdd(t, u, "alice", "three", "")
	})
}

func TestAddUserRefusesNamesThatCouldCollide(t *testing.T) {
	u := testUsers(t, storagetest.StartMiniredis(t))
	for _, name := range []string{"a\xff", strings.Repeat("x", 1025)} {
		wantErr(t, fmt.Sprintf("%.20q", name), u.AddUser(t.Context(), User{Name: name}, "p"), ErrName)
	}
	for _, name := range []string{"", "{}", "a:b", "a\x00", "*", strings.Repeat("x", 1024), "\r\nFLUSHALL"} {
		if err := u.AddVerifiedUser(t.Context(), User{Name: name, Active: true}, "p"); err != nil { // AddUser refuses some
			t.Errorf("%.20q: %v", name, err)
		}
		if _, err := u.Authenticate(t.Context(), name, "p"); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestChangesEndSessionsBeforeTheyReturn(t *testing.T) {
	pass, role, off, on := "two", "admin", false, true
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u := testUsers(t, r)
		change := func(c UserChange) func(context.Context, string) error {
			return func(ctx context.Context, name string) error { return u.ChangeUser(ctx, name, c) }
		}
		for what, c := range map[string]struct {
			do   func(context.Context, string) error
			ends bool
		}{
			"a new password ends them":     {change(UserChange{Password: &pass}), true},
			"disabling suspends them":      {change(UserChange{Active: &off}), false},
			"a dropped user has none":      {u.DropUser, true},
			"a new role leaves them alone": {change(UserChange{Role: &role}), false},
			"enabling leaves them alone":   {change(UserChange{Active: &on}), false},
		} {
			mustAdd(t, u, what, "one", "")
			alive := openSession(t, u, what)
			if err := c.do(t.Context(), what); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if alive() == c.ends {
				t.Errorf("%s: session alive: %v", what, alive())
			}
		}
	})
}

func TestRevisionChangesWithWhatStopsLogins(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	pass, role, off, on := "one", "admin", false, true
	mustAdd(t, u, "alice", "one", "")
	last := record(t, u, "alice").Revision
	for _, step := range []struct {
		what    string
		do      func() error
		changes bool
	}{
		{"login", func() error { _, err := u.Authenticate(ctx, "alice", "one"); return err }, false},
		{"role", func() error { return u.ChangeUser(ctx, "alice", UserChange{Role: &role}) }, false},
		{"enabled while enabled", func() error { return u.ChangeUser(ctx, "alice", UserChange{Active: &on}) }, false},
		{"the same password", func() error { return u.ChangeUser(ctx, "alice", UserChange{Password: &pass}) }, true},
		{"disabled", func() error { return u.ChangeUser(ctx, "alice", UserChange{Active: &off}) }, true},
		{"enabled", func() error { return u.ChangeUser(ctx, "alice", UserChange{Active: &on}) }, true},
		{"dropped and added", func() error {
			return errors.Join(u.DropUser(ctx, "alice"), u.AddUser(ctx, User{Name: "alice", Active: true}, "one"))
		}, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		now := record(t, u, "alice").Revision
		if (now != last) != step.changes || now == "" {
			t.Errorf("%s: revision %q after %q", step.what, now, last)
		}
		last = now
	}
}

func TestListUsersIsOrderedAndToleratesStrays(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		var imports []Import
		var want []string
		for i := range 1203 {
			name := fmt.Sprintf("user%05d", i)
			imports = append(imports, Import{User: User{Name: name, Active: true}})
			want = append(want, name)
		}
		if _, err := u.ImportUsers(ctx, imports, false); err != nil {
			t.Fatal(err)
		}
		if err := u.addToIndex(ctx, "test", "stray", "a stray", "user00500x"); err != nil {
			t.Fatal(err)
		}
		list, err := u.ListUsers(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range list {
			got = append(got, l.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("names: %s", diff)
		}
	})
}

// A crash at any point leaves nobody who can log in and is not listed.
func TestCrashesLeaveNoHiddenUsers(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		c := r.Client(t)
		crash := errors.New("crash")
		for _, op := range []string{"add", "drop"} {
			for step := 1; step <= 12; step++ {
				hook := &failing{after: -1, err: crash}
				rdb := r.Client(t)
				rdb.AddHook(hook)
				u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang, Prefix: fmt.Sprintf("%s%d:", op, step)})
				if err != nil {
					t.Fatal(err)
				}
				intact, err := NewUsers(c, Options{Password: cheap, Timeout: hang, Prefix: fmt.Sprintf("%s%d:", op, step)})
				if err != nil {
					t.Fatal(err)
				}
				alive := func() bool { return false }
				if op == "drop" {
					mustAdd(t, intact, "alice", "one", "")
					alive = openSession(t, intact, "alice")
				}
				hook.set(step)
				if op == "add" {
					err = u.AddUser(t.Context(), User{Name: "alice", Active: true}, "one")
				} else {
					err = u.DropUser(t.Context(), "alice")
				}
				hook.set(-1)
				_, login := intact.Authenticate(t.Context(), "alice", "one")
				list, listErr := intact.ListUsers(t.Context())
				if listErr != nil {
					t.Fatal(listErr)
				}
				if login == nil && len(list) == 0 {
					t.Errorf("%s, cut off at command %d: can log in and is not listed", op, step)
				}
				if op == "drop" {
					if err := intact.DropUser(t.Context(), "alice"); err != nil && !errors.Is(err, fosite.ErrNotFound) {
						t.Errorf("drop again: %v", err)
					}
					if alive() {
						t.Errorf("cut off at command %d: a session outlives the drop", step)
					}
				}
				_ = err
			}
		}
	})
}
