package storage

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func follower(name, role, hash string) Import {
	return Import{User: User{Name: name, Role: role, Active: true}, Hash: hash, Follows: true}
}

func importRole(t *testing.T, u *Users, id, permission string, want ImportOutcome) {
	t.Helper()
	for _, dry := range []bool{true, false} {
		results, err := u.ImportRoles(t.Context(), []Role{{ID: id, Permission: json.RawMessage(permission)}}, dry)
		if err != nil || results[0].Outcome != want || (results[0].Err != nil) != (want == ImportRefused) {
			t.Errorf("import of %s, dry %v: %+v, %v, want %s", id, dry, results, err, want)
		}
	}
}

func TestImportedRolesFollowTheirSourceUntilTheyAreOurs(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		mustAdd(t, u, "alice", "one", "boss")
		super := func() bool {
			user, err := u.User(ctx, "alice")
			if err != nil {
				t.Fatal(err)
			}
			return user.SuperUser
		}
		importRole(t, u, "boss", `{"super_user":true}`, ImportAdded)
		importRole(t, u, "boss", `{"super_user": true }`, ImportUnchanged)
		if !super() {
			t.Error("the role makes no super user")
		}
		importRole(t, u, "boss", `{"super_user":false}`, ImportUpdated)
		if super() {
			t.Error("a role that lost super_user at the source keeps it here")
		}
		if _, err := u.ChangeRole(ctx, Role{ID: "boss", Permission: json.RawMessage(`{"super_user":false,"here":true}`)}); err != nil {
			t.Fatal(err)
		}
		importRole(t, u, "boss", `{"super_user":true}`, ImportKept)
		if super() {
			t.Error("an import changed a role that was changed here")
		}

		if _, err := u.AddRole(ctx, Role{ID: "ours", Permission: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
		importRole(t, u, "ours", `{"super_user":true}`, ImportKept)
		importRole(t, u, "ours", `{ }`, ImportUnchanged)
		importRole(t, u, "ours", `{"super_user":true}`, ImportUpdated) // it was the same on both sides

		for _, permission := range []string{`[]`, `null`, `"x"`, `{`, "{\"a\":\"\xff\"}"} {
			importRole(t, u, "odd", permission, ImportRefused)
		}
		importRole(t, u, "", `{}`, ImportRefused)
		importRole(t, u, "no\xff", `{}`, ImportRefused)
		results, err := u.ImportRoles(ctx, []Role{{ID: "a", Permission: []byte(`{}`)}, {ID: "b", Permission: []byte(`[]`)}, {ID: "a", Permission: []byte(`{}`)}}, false)
		if err != nil || results[0].Outcome != ImportAdded || !errors.Is(results[1].Err, ErrPermission) || !errors.Is(results[2].Err, ErrExists) {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

func TestImportsKeepTheTimesOfTheSource(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	created, updated, later := time.UnixMilli(1_600_000_000_000).UTC(), time.UnixMilli(1_700_000_000_000).UTC(), time.UnixMilli(1_700_000_001_000).UTC()
	role := Role{ID: "staff", Permission: []byte(`{}`), Created: created, Updated: updated}
	row := Import{User: User{Name: "alice", Created: created, Updated: updated}, Hash: passwordtest.HarperMD5("one")}
	check := func(want time.Time) {
		t.Helper()
		r, err := u.Role(ctx, "staff")
		if err != nil || !r.Created.Equal(created) || !r.Updated.Equal(want) {
			t.Errorf("role: %+v, %v", r, err)
		}
		user, err := u.User(ctx, "alice")
		if err != nil || !user.Created.Equal(created) || !user.Updated.Equal(want) {
			t.Errorf("user: %+v, %v", user, err)
		}
	}
	for _, want := range []time.Time{updated, later} {
		role.Updated, row.User.Updated = want, want
		if _, err := u.ImportRoles(ctx, []Role{role}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := u.ImportUsers(ctx, []Import{row}, false); err != nil {
			t.Fatal(err)
		}
		check(want)
		role.Permission, row.User.Active = []byte(`{"a":1}`), true
	}
}

func TestOnlyWhatWasImportedAndIsAsItWasIsGone(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		hash, other := passwordtest.HarperMD5("one"), "staff"
		mustAdd(t, u, "ours", "one", "used")
		for _, row := range []Import{
			follower("stays", "staff", hash), follower("leaves", "left", hash), follower("changed", "staff", hash),
			{User: User{Name: "of another source", Active: true}, Hash: hash},
		} {
			importOne(t, u, []Import{row}, ImportAdded)
		}
		if err := u.AddVerifiedUser(ctx, User{Name: "verified", Active: true}, "one"); err != nil {
			t.Fatal(err)
		}
		if err := u.ChangeUser(ctx, "changed", UserChange{Role: &other}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"staff", "left", "used", "changed"} {
			importRole(t, u, id, `{}`, ImportAdded)
		}
		if _, err := u.ChangeRole(ctx, Role{ID: "changed", Name: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := u.AddRole(ctx, Role{ID: "ours", Permission: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}

		present := Present{Users: map[string]*User{"stays": {Role: "staff", Active: true}}, Roles: map[string]bool{"staff": true}}
		for _, remove := range []bool{false, true} {
			gone, err := u.FindGone(ctx, present, remove)
			want := Gone{Users: []string{"leaves", "verified"}, Roles: []string{"left", "used"}, RoleOf: map[string]string{"leaves": "left", "verified": ""}, InUse: map[string]bool{"": true, "staff": true, "used": true}}
			if !remove {
				want.InUse["left"] = true
			}
			if diff := cmp.Diff(want, gone); diff != "" || err != nil {
				t.Errorf("remove %v: %v %s", remove, err, diff)
			}
		}
		for read, want := range map[time.Time]int{time.Now().Add(-time.Hour): 1, time.Now().Add(time.Hour): 2} { // "verified" is from now
			present.Read = read
			if gone, err := u.FindGone(ctx, present, true); err != nil || len(gone.Users) != want || !gone.InUse[""] {
				t.Errorf("read at %s: %+v, %v", read, gone, err)
			}
		}
		if gone, err := u.FindGone(ctx, Present{}, true); err != nil || len(gone.Users)+len(gone.Roles) > 0 {
			t.Errorf("of a source that says nothing: %+v, %v", gone, err)
		}

		alive := openSession(t, u, "leaves")
		wantErr(t, "remove", u.DropGoneUser(ctx, "leaves"), nil)
		wantErr(t, "again", u.DropGoneUser(ctx, "leaves"), fosite.ErrNotFound)
		if alive() {
			t.Error("a session of the removed user is alive")
		}
		for _, name := range []string{"ours", "changed"} {
			wantErr(t, name, u.DropGoneUser(ctx, name), ErrKept)
			if user, err := u.User(ctx, name); err != nil || !user.Active {
				t.Errorf("%s: %+v, %v", name, user, err)
			}
		}
		wantErr(t, "unused role", u.DropGoneRole(ctx, "left"), nil)
		wantErr(t, "role in use", u.DropGoneRole(ctx, "used"), ErrInUse)
		wantErr(t, "role of ours", u.DropGoneRole(ctx, "ours"), ErrKept)
		wantErr(t, "changed role", u.DropGoneRole(ctx, "changed"), ErrKept)
	})
}

// A user whom an import removed comes back with a later import, but the tokens do not; one who was dropped here does not come back.
func TestAnImportBringsBackWhomAnImportRemoved(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		row := []Import{follower("alice", "", passwordtest.HarperMD5("one"))}
		issued := time.Now().Add(-time.Minute)
		importOne(t, u, row, ImportAdded)
		wantErr(t, "token before", u.ImportedTokenValid(ctx, "alice", issued, ""), nil)
		wantErr(t, "remove", u.DropGoneUser(ctx, "alice"), nil)
		wantErr(t, "verified at the source", u.AddVerifiedUser(ctx, row[0].User, "one"), ErrDropped)
		if dropped, err := u.dropped(ctx, []string{"alice"}); err != nil || !dropped[0] {
			t.Errorf("%v, %v", dropped, err)
		}
		importOne(t, u, row, ImportAdded)
		wantErr(t, "token of before", u.ImportedTokenValid(ctx, "alice", issued, ""), fosite.ErrNotFound)
		wantErr(t, "token of now", u.ImportedTokenValid(ctx, "alice", time.Now().Add(time.Second), ""), nil)
		importOne(t, u, row, ImportUnchanged)
		if dropped, err := u.dropped(ctx, []string{"alice"}); err != nil || dropped[0] {
			t.Errorf("%v, %v", dropped, err)
		}
		wantErr(t, "drop here", u.DropUser(ctx, "alice"), nil)
		importOne(t, u, row, ImportKept)
	})
}

// A user who came by a verified login follows the source like an imported one. The password may have changed there meanwhile, so
// the hash is that of the source; the sessions stay, since nothing says that it has.
func TestAnImportFollowsAVerifiedUser(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	if err := u.AddVerifiedUser(ctx, User{Name: "alice", Role: "boss", Active: true}, "one"); err != nil {
		t.Fatal(err)
	}
	alive, before := openSession(t, u, "alice"), record(t, u, "alice")
	row := []Import{follower("alice", "staff", passwordtest.HarperMD5("two"))}
	importOne(t, u, row, ImportUpdated)
	after := record(t, u, "alice")
	if after.Role != "staff" || after.Generation != before.Generation || !alive() {
		t.Errorf("%+v, session alive: %v", after, alive())
	}
	if _, err := u.Authenticate(ctx, "alice", "two"); err != nil {
		t.Errorf("the password of the source: %v", err)
	}
	row[0].Hash = passwordtest.HarperMD5("three")
	importOne(t, u, row, ImportUpdated)
	if alive() {
		t.Error("a session outlives a password that has changed at the source")
	}
}

func TestTheSameNameInAnotherPartIsRefused(t *testing.T) {
	u := testUsers(t, storagetest.StartMiniredis(t))
	rows := make([]Import, 301)
	for i := range rows {
		rows[i] = follower(time.Duration(i).String(), "", passwordtest.HarperMD5("x"))
	}
	rows[300].User.Name = rows[0].User.Name
	for _, dry := range []bool{true, false} {
		results, err := u.ImportUsers(t.Context(), rows, dry)
		if err != nil || results[0].Outcome != ImportAdded || !errors.Is(results[300].Err, ErrExists) {
			t.Errorf("dry %v: %+v, %v", dry, results[300], err)
		}
	}
}
