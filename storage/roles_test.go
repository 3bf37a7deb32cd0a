package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestRoleLifecycle(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		_, err := u.Role(ctx, "dev")
		wantErr(t, "read before add", err, fosite.ErrNotFound)
		_, err = u.ChangeRole(ctx, Role{ID: "dev", Name: "x"})
		wantErr(t, "change before add", err, fosite.ErrNotFound)
		wantErr(t, "drop before add", u.DropRole(ctx, "dev"), fosite.ErrNotFound)
		if list, err := u.ListRoles(ctx); len(list) != 0 || err != nil {
			t.Errorf("list before add: %v, %v", list, err)
		}

		odd := json.RawMessage(" {\"b\" : 1.0,\"a\":\"<\u00e9&\\u00e9>\", \"b\":2,\n \"super_user\": false}")
		added, err := u.AddRole(ctx, Role{ID: "dev", Permission: odd})
		if err != nil {
			t.Fatal(err)
		}
		want := Role{ID: "dev", Name: "dev", Permission: odd}
		times := cmpopts.IgnoreFields(Role{}, "Created", "Updated")
		if diff := cmp.Diff(want, added, times); diff != "" || added.Created.IsZero() {
			t.Errorf("as added: %s", diff)
		}
		got, err := u.Role(ctx, "dev")
		if diff := cmp.Diff(added, got); diff != "" || err != nil {
			t.Errorf("as read: %v %s", err, diff)
		}
		_, err = u.AddRole(ctx, Role{ID: "dev", Permission: odd})
		wantErr(t, "add again", err, ErrExists)

		changed, err := u.ChangeRole(ctx, Role{ID: "dev", Name: "developer"})
		want.Name = "developer"
		if diff := cmp.Diff(want, changed, times); diff != "" || err != nil || !changed.Created.Equal(added.Created) {
			t.Errorf("renamed: %v %s", err, diff)
		}
		if _, err := u.AddRole(ctx, Role{ID: "audit", Permission: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
		list, err := u.ListRoles(ctx)
		if err != nil || len(list) != 2 || list[0].ID != "audit" || list[1].ID != "dev" {
			t.Errorf("list: %v, %v", list, err)
		}

		off := false
		mustAdd(t, u, "alice", "one", "dev")
		mustAdd(t, u, "bob", "one", "audit")
		wantErr(t, "drop while an active user has it", u.DropRole(ctx, "dev"), ErrInUse)
		if err := u.ChangeUser(ctx, "alice", UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
		if err := u.DropRole(ctx, "dev"); err != nil {
			t.Errorf("drop while a disabled user has it: %v", err)
		}
		for name, role := range map[string]string{"alice": "", "bob": "audit"} {
			if user, err := u.User(ctx, name); user.Role != role || err != nil {
				t.Errorf("role of %s: %q, %v", name, user.Role, err)
			}
		}
		_, err = u.Role(ctx, "dev")
		wantErr(t, "read after drop", err, fosite.ErrNotFound)
	})
}

func TestClaimsFollowTheRole(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		mustAdd(t, u, "alice", "one", "boss")
		mustAdd(t, u, "bob", "one", "")
		check := func(what string, super bool) {
			t.Helper()
			got, err := u.Claims(ctx, "alice")
			if diff := cmp.Diff(map[string]any{"role": "boss", "super_user": super}, got); diff != "" || err != nil {
				t.Errorf("%s: %v %s", what, err, diff)
			}
			user, err := u.User(ctx, "alice")
			if user.SuperUser != super || err != nil {
				t.Errorf("%s: user is super: %v, %v", what, user.SuperUser, err)
			}
			if list, err := u.ListUsers(ctx); err != nil || list[0].SuperUser != super || list[1].SuperUser {
				t.Errorf("%s: list: %+v, %v", what, list, err)
			}
		}
		check("before there is the role", false)
		if _, err := u.AddRole(ctx, Role{ID: "boss", Permission: json.RawMessage(`{"super_user":true}`)}); err != nil {
			t.Fatal(err)
		}
		check("added", true)
		if _, err := u.ChangeRole(ctx, Role{ID: "boss", Name: "chief"}); err != nil {
			t.Fatal(err)
		}
		check("renamed", true)
		if _, err := u.ChangeRole(ctx, Role{ID: "boss", Permission: json.RawMessage(`{"super_user":false}`)}); err != nil {
			t.Fatal(err)
		}
		check("demoted", false)
		if _, err := u.ChangeRole(ctx, Role{ID: "boss", Permission: json.RawMessage(`{"super_user":true}`)}); err != nil {
			t.Fatal(err)
		}
		check("promoted", true)
		other := "boss2"
		if err := u.ChangeUser(ctx, "alice", UserChange{Role: &other}); err != nil {
			t.Fatal(err)
		}
		if err := u.DropRole(ctx, "boss"); err != nil {
			t.Fatal(err)
		}
		other = "boss"
		if err := u.ChangeUser(ctx, "alice", UserChange{Role: &other}); err != nil {
			t.Fatal(err)
		}
		check("dropped", false)
	})
}

func TestOnlyTrueMakesASuperUser(t *testing.T) {
	for permission, want := range map[string]bool{
		`{"super_user":true}`: true, `{"super_user" : true }`: true, `{"super_user":false,"super_user":true}`: true,
		`{}`: false, `{"super_user":false}`: false, `{"super_user":"true"}`: false, `{"super_user":1}`: false, `{"super_user":null}`: false,
		`{"SUPER_USER":true}`: false, `{"\u017fuper_user":true}`: false, `{"x":{"super_user":true}}`: false, `{"super_user":[true]}`: false,
		`{"super_user":true,"super_user":false}`: false,
	} {
		if got, err := superUser(json.RawMessage(permission)); got != want || err != nil {
			t.Errorf("%s: %v, %v", permission, got, err)
		}
	}
	for _, permission := range []string{``, `null`, `[]`, `"x"`, `true`, `{`, `{}{}`, `{"a":}`, "{\"a\":\"\xff\"}"} {
		_, err := superUser(json.RawMessage(permission))
		wantErr(t, permission, err, ErrPermission)
	}
}

// However many change a role at once, the role and the set of super-user roles agree.
func TestRolesAndSuperUsersStayInStep(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		if _, err := u.AddRole(ctx, Role{ID: "r", Permission: json.RawMessage(`{}`)}); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				_, err := u.ChangeRole(ctx, Role{ID: "r", Permission: json.RawMessage(fmt.Sprintf(`{"super_user":%v,"by":%d}`, i%2 == 0, i))})
				if err != nil && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		role, err := u.Role(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		want, err := superUser(role.Permission)
		if err != nil {
			t.Fatal(err)
		}
		supers, err := u.db.Client.SMembers(ctx, u.db.Keys.SuperRoles()).Result()
		if got := slices.Contains(supers, "r"); got != want || err != nil {
			t.Errorf("%s, and among the super users: %v, %v", role.Permission, got, err)
		}
	})
}
