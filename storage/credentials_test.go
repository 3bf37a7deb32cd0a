package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestVerifiedCredentialsCostNoHash(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		clock := time.Now()
		u.cache = password.NewCache(time.Minute)
		u.cache.Now = func() time.Time { return clock }
		mustAdd(t, u, "alice", "one", "")
		mustAdd(t, u, "bob", "one", "")
		login := func(what, name, password string, want error, runs int64) {
			t.Helper()
			before := u.PasswordRuns()
			_, err := u.VerifyPassword(ctx, name, password, "")
			if got := u.PasswordRuns() - before; !errors.Is(err, want) || got != runs {
				t.Errorf("%s: %v and %d hashes, want %v and %d", what, err, got, want, runs)
			}
		}
		change := func(c UserChange) {
			t.Helper()
			if err := u.ChangeUser(ctx, "alice", c); err != nil {
				t.Fatal(err)
			}
		}
		login("first", "alice", "one", nil, 1)
		login("second", "alice", "one", nil, 0)
		login("wrong password", "alice", "two", fosite.ErrNotFound, 1)
		login("wrong password again", "alice", "two", fosite.ErrNotFound, 1)
		login("another user of the same password", "bob", "one", nil, 1)

		clock = clock.Add(time.Minute)
		login("after its TTL", "alice", "one", nil, 1)

		off, on, two := false, true, "two"
		change(UserChange{Active: &off})
		login("disabled", "alice", "one", ErrUserDisabled, 1) // like a wrong password
		login("disabled, again", "alice", "one", ErrUserDisabled, 1)
		change(UserChange{Active: &on})
		change(UserChange{Password: &two})
		login("old password", "alice", "one", fosite.ErrNotFound, 1)
		login("new password", "alice", "two", nil, 1)
		login("new password again", "alice", "two", nil, 0)
		if err := u.DropUser(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		login("dropped", "alice", "two", fosite.ErrNotFound, 1)

		if _, err := importUser(ctx, u, User{Name: "md5", Active: true}, passwordtest.HarperMD5("one")); err != nil {
			t.Fatal(err)
		}
		login("imported", "md5", "one", nil, 1)
		login("imported, under its new hash", "md5", "one", nil, 0)
	})
}

func TestWithoutCacheEveryLoginIsHashed(t *testing.T) {
	u := testUsers(t, storagetest.StartMiniredis(t))
	mustAdd(t, u, "alice", "one", "")
	before := u.PasswordRuns()
	for range 2 {
		if _, err := u.VerifyPassword(t.Context(), "alice", "one", ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.PasswordRuns() - before; got != 2 {
		t.Errorf("%d hashes for two logins", got)
	}
}
