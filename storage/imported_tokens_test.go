package storage

import (
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestTokensOfAnotherServerAreHonouredUntilSomethingEndsThem(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		off, on, pass := false, true, "two"
		for _, c := range []struct {
			what string
			do   func(name string) error
			want error // for a token issued before
		}{
			{"nothing happened", func(string) error { return nil }, nil},
			{"a login that replaced the hash", func(n string) error { _, err := u.Authenticate(ctx, n, "one"); return err }, nil},
			{"a new role", func(n string) error { return u.ChangeUser(ctx, n, UserChange{Role: &pass}) }, nil},
			{"disabled", func(n string) error { return u.ChangeUser(ctx, n, UserChange{Active: &off}) }, fosite.ErrNotFound},
			{"disabled and enabled", func(n string) error {
				if err := u.ChangeUser(ctx, n, UserChange{Active: &off}); err != nil {
					return err
				}
				return u.ChangeUser(ctx, n, UserChange{Active: &on})
			}, nil},
			{"a new password", func(n string) error { return u.ChangeUser(ctx, n, UserChange{Password: &pass}) }, fosite.ErrNotFound},
			{"all revoked", func(n string) error { return tokensOf(u).RevokeSubject(ctx, n) }, fosite.ErrNotFound},
			{"dropped", func(n string) error { return u.DropUser(ctx, n) }, fosite.ErrNotFound},
			{"dropped and added again", func(n string) error {
				if err := u.DropUser(ctx, n); err != nil {
					return err
				}
				return u.AddUser(ctx, User{Name: n, Active: true}, "one")
			}, fosite.ErrNotFound},
			{"a password changed at the source", func(n string) error {
				_, err := importUser(ctx, u, User{Name: n, Active: true}, passwordtest.HarperSHA256("two"))
				return err
			}, fosite.ErrNotFound},
			{"a role changed at the source", func(n string) error {
				_, err := importUser(ctx, u, User{Name: n, Role: "other", Active: true}, passwordtest.HarperMD5("one"))
				return err
			}, nil},
		} {
			imported(t, u, User{Name: c.what, Active: true}, passwordtest.HarperMD5("one"))
			issued := time.Now().Add(-time.Minute)
			if err := u.ImportedTokenValid(ctx, c.what, issued, ""); err != nil {
				t.Fatalf("%s: before: %v", c.what, err)
			}
			if err := c.do(c.what); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			for _, refresh := range []string{"", "any"} { // which one was good there is not known
				wantErr(t, c.what, u.ImportedTokenValid(ctx, c.what, issued, refresh), c.want)
			}
		}
		issued := time.Now().Add(-time.Minute)
		mustAdd(t, u, "added", "one", "")
		wantErr(t, "added here", u.ImportedTokenValid(ctx, "added", issued, ""), fosite.ErrNotFound)
		if err := u.AddVerifiedUser(ctx, User{Name: "verified", Active: true}, "one"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "verified", u.ImportedTokenValid(ctx, "verified", issued, ""), nil)
		wantErr(t, "add again", u.AddVerifiedUser(ctx, User{Name: "verified"}, "one"), ErrExists)
		wantErr(t, "nobody", u.ImportedTokenValid(ctx, "nobody", time.Now(), ""), fosite.ErrNotFound)
	})
}

func TestOnlyTheLastRefreshTokenIsValid(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	issued := time.Now().Add(-time.Minute)
	none := ""
	stored := passwordtest.Harper("the token")
	for name, hash := range map[string]*string{
		"md5": ptr(stored[SchemeMD5]), "sha256": ptr(stored[SchemeSHA256]), "argon2id": ptr(stored[SchemeArgon2id]), "none": &none, "not told": nil,
	} {
		row := []Import{{User: User{Name: name, Active: true}, Hash: passwordtest.HarperMD5("one"), RefreshHash: hash}}
		importOne(t, u, row, ImportAdded)
		importOne(t, u, row, ImportUnchanged)
		want := map[string]error{"the token": nil, "another": fosite.ErrNotFound, "": nil}
		switch name {
		case "none":
			want["the token"] = fosite.ErrNotFound
		case "not told":
			want["another"] = nil
		}
		for token, err := range want {
			wantErr(t, name+": "+token, u.ImportedTokenValid(ctx, name, issued, token), err)
		}
	}

	// A login at the source replaces its refresh token there. Nothing else of the user is touched by that.
	if _, err := u.Authenticate(ctx, "md5", "one"); err != nil {
		t.Fatal(err)
	}
	before, alive := record(t, u, "md5"), openSession(t, u, "md5")
	row := []Import{{User: User{Name: "md5", Active: true}, Hash: passwordtest.HarperMD5("one"), RefreshHash: ptr(passwordtest.HarperSHA256("another"))}}
	importOne(t, u, row, ImportUpdated)
	wantErr(t, "the token before", u.ImportedTokenValid(ctx, "md5", issued, "the token"), fosite.ErrNotFound)
	wantErr(t, "the token now", u.ImportedTokenValid(ctx, "md5", issued, "another"), nil)
	if after := record(t, u, "md5"); after.Hash != before.Hash || after.Revision != before.Revision || !alive() {
		t.Errorf("the import touched more: %+v", after)
	}
	row[0].RefreshHash = nil
	importOne(t, u, row, ImportUnchanged)

	row[0].User.Name, row[0].RefreshHash = "bad", ptr("in the clear")
	importOne(t, u, row, ImportRefused)
}

func TestADroppedUserIsBroughtBackByAddUserAlone(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		alice := User{Name: "alice", Active: true}
		row := []Import{{User: alice, Hash: passwordtest.HarperMD5("one")}}
		importOne(t, u, row, ImportAdded)
		if err := u.DropUser(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "add verified", u.AddVerifiedUser(ctx, alice, "one"), ErrDropped)
		for _, dry := range []bool{true, false} {
			results, err := u.ImportUsers(ctx, row, dry)
			if err != nil || results[0].Outcome != ImportKept {
				t.Errorf("import, dry %v: %+v, %v", dry, results, err)
			}
		}
		_, err := u.User(ctx, "alice")
		wantErr(t, "after both", err, fosite.ErrNotFound)
		if ttl := u.db.Client.TTL(ctx, u.db.Keys.Dropped(redisdb.SubjectTag("alice"))).Val(); ttl < 364*24*time.Hour || ttl > droppedTTL {
			t.Errorf("the mark expires in %v", ttl)
		}

		mustAdd(t, u, "alice", "one", "")
		if n := u.db.Client.Exists(ctx, u.db.Keys.Dropped(redisdb.SubjectTag("alice"))).Val(); n != 0 {
			t.Error("the mark outlives the new user")
		}
		wantErr(t, "add one who exists", u.AddVerifiedUser(ctx, alice, "one"), ErrExists)
	})
}

func TestRevokeSubjectEndsSessionsOfSubjectsWithoutAnAccount(t *testing.T) {
	u := testUsers(t, storagetest.StartMiniredis(t))
	mustAdd(t, u, "alice", "one", "")
	for _, subject := range []string{"alice", "kept elsewhere"} {
		alive := openSession(t, u, subject)
		if err := tokensOf(u).RevokeSubject(t.Context(), subject); err != nil || alive() {
			t.Errorf("%s: %v, session alive: %v", subject, err, alive())
		}
	}
	if _, err := u.Authenticate(t.Context(), "alice", "one"); err != nil {
		t.Errorf("login afterwards: %v", err)
	}
}

func importOne(t *testing.T, u *Users, row []Import, want ImportOutcome) {
	t.Helper()
	results, err := u.ImportUsers(t.Context(), row, false)
	if err != nil || results[0].Outcome != want {
		t.Errorf("import of %s: %+v, %v, want %s", row[0].User.Name, results, err, want)
	}
}

func ptr(s string) *string { return &s }

func tokensOf(u *Users) *Tokens { return &Tokens{db: u.db} }
