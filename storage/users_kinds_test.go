package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// importedKinds imports a user of every kind of hash, named for it, and a disabled one of the costliest. Fast hashes are not
// a kind.
func importedKinds(t *testing.T, u *Users) (slow int) {
	t.Helper()
	bc, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	harper := passwordtest.Harper("right")
	list := []Import{
		{User: User{Name: "harper"}, Hash: harper["argon2id"]},
		{User: User{Name: "harper, disabled"}, Hash: harper["argon2id"]},
		{User: User{Name: "argon2id"}, Hash: passwordtest.Argon2("right", passwordtest.Salt16, 256, 3, 4)},
		{User: User{Name: "bcrypt"}, Hash: string(bc)},
		{User: User{Name: "sha256"}, Hash: harper["sha256"]},
		{User: User{Name: "md5"}, Hash: harper["md5"]},
		{User: User{Name: "no password"}},
	}
	for i := range list {
		list[i].User.Active = list[i].User.Name != "harper, disabled"
	}
	results, err := u.ImportUsers(t.Context(), list, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatalf("%s: %v", r.Name, r.Err)
		}
	}
	return 3
}

// What a refusal costs, in hashes and in round trips, is the same whoever the user is and however the password is stored.
func TestRefusalsCostTheSameBesideImportedHashes(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, hook := r.Client(t), &failing{after: -1}
		rdb.AddHook(hook)
		u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang, CredentialCache: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, off := t.Context(), false
		kinds := importedKinds(t, u)
		mustAdd(t, u, "own", "right", "")
		mustAdd(t, u, "own, cached", "right", "")
		mustAdd(t, u, "own, disabled", "right", "")
		for range 2 {
			for _, name := range []string{"own, cached", "own, disabled"} { // their passwords are in the cache
				if _, err := u.VerifyPassword(ctx, name, "right", ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := u.ChangeUser(ctx, "own, disabled", UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct{ name, password string }{
			{"nobody", "wrong"},
			{"own", "wrong"},
			{"own, cached", "wrong"},
			{"own, disabled", "wrong"},
			{"own, disabled", "right"},
			{"harper", "wrong"},
			{"harper, disabled", "wrong"},
			{"harper, disabled", "right"},
			{"argon2id", "wrong"},
			{"bcrypt", "wrong"},
			{"sha256", "wrong"},
			{"md5", "wrong"},
			{"no password", ""},
		} {
			for range 2 { // the second attempt costs what the first did
				before := u.PasswordRuns()
				hook.set(-1)
				_, err := u.Authenticate(ctx, row.name, row.password)
				runs, trips := u.PasswordRuns()-before, hook.count()
				if !errors.Is(err, fosite.ErrNotFound) || runs != int64(1+kinds) || trips != 3 {
					t.Errorf("%s, %s: %v after %d hashes and %d round trips, want %d and 3", row.name, row.password, err, runs, trips, 1+kinds)
				}
			}
		}
	})
}

func TestHashKindsAreThoseOfTheUsers(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		want := func(what string, n int) {
			t.Helper()
			kinds, err := u.hashKinds(ctx, "test")
			if err != nil || len(kinds) != n {
				t.Errorf("%s: %q, %v, want %d", what, kinds, err, n)
			}
		}
		count := func() {
			t.Helper()
			if err := u.CountHashKinds(ctx); err != nil {
				t.Fatal(err)
			}
		}
		count()
		want("empty store", 1) // our own
		slow := importedKinds(t, u)
		want("after the import", 1+slow)

		if err := u.db.Client.Del(ctx, u.db.Keys.HashKinds()).Err(); err != nil {
			t.Fatal(err) // as an older version leaves it
		}
		if _, err := u.Authenticate(ctx, "bcrypt", "wrong"); !errors.Is(err, fosite.ErrNotFound) {
			t.Fatal(err)
		}
		want("learned at a login", 1)
		count()
		want("counted", 1+slow)

		if _, err := u.Authenticate(ctx, "bcrypt", "right"); err != nil {
			t.Fatal(err)
		}
		count()
		want("after the last login by bcrypt", slow)
		for _, name := range []string{"harper", "harper, disabled", "argon2id"} {
			if err := u.DropUser(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		count()
		want("after all were dropped", 1)
		before := u.PasswordRuns()
		if _, err := u.Authenticate(ctx, "nobody", "wrong"); !errors.Is(err, fosite.ErrNotFound) || u.PasswordRuns()-before != 1 {
			t.Errorf("%v after %d hashes", err, u.PasswordRuns()-before)
		}
	})
}
