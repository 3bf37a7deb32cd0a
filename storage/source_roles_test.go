package storage

import (
	"context"
	"testing"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// Who logs in for the first time is a super user here only if the source says so, whatever the role of that ID was when it was stored.
func TestAFirstLoginGivesNoMoreThanTheSource(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		super := map[string]bool{"keeper": true}
		source := &oldUsers{verify: func(_ context.Context, name, _ string) (User, Role, error) {
			id := map[string]string{"olga": "keeper", "paul": "keeper", "quinn": "boss", "rita": "made here"}[name]
			permission := `{"super_user":false}`
			if super[id] {
				permission = `{"super_user":true}`
			}
			return User{Name: name, Active: true}, Role{ID: id, Permission: []byte(permission)}, nil
		}}
		u, ctx := usersOf(t, r, source), t.Context()
		login := func(name, role string, want bool) {
			t.Helper()
			user, err := u.VerifyPassword(ctx, name, "right", "")
			if err != nil || user.SuperUser != want || user.Role != role {
				t.Errorf("%s: %+v, %v", name, user, err)
			}
			claims, err := u.Claims(ctx, name)
			if err != nil || claims["super_user"] != want || claims["role"] != role {
				t.Errorf("claims of %s: %v, %v", name, claims, err)
			}
		}
		login("olga", "keeper", true)
		super["keeper"] = false // the role loses it at the source
		login("paul", "keeper", false)
		if user, err := u.User(ctx, "olga"); err != nil || user.SuperUser {
			t.Errorf("olga keeps what her role has lost: %+v, %v", user, err)
		}
		importRole(t, u, "boss", `{"super_user":true}`, ImportAdded)
		login("quinn", "boss", false)
		if _, err := u.AddRole(ctx, Role{ID: "made here", Permission: []byte(`{"super_user":true}`)}); err != nil {
			t.Fatal(err)
		}
		login("rita", "", false) // the role stays as it is here, for those to whom it was given here
		if role, err := u.Role(ctx, "made here"); err != nil || string(role.Permission) != `{"super_user":true}` {
			t.Errorf("role %+v, %v", role, err)
		}
		super["made here"] = true
		source.verify = func(_ context.Context, name, _ string) (User, Role, error) {
			return User{Name: name, Active: true}, Role{ID: "made here", Permission: []byte(`{"super_user":true}`)}, nil
		}
		login("sam", "made here", true)
	})
}
