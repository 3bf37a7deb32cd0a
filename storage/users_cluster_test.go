package storage

import (
	"fmt"
	"testing"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// On a Redis Cluster records, lists, roles and counters lie on different nodes.
func TestUsersOnCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	hook := &failing{after: -1}
	rdb := storagetest.StartCluster(t, storagetest.Options{}).Client(t, nil)
	rdb.AddHook(hook)
	u, err := NewUsers(rdb, Options{Password: cheap})
	if err != nil {
		t.Fatal(err)
	}
	ctx, pass := t.Context(), "two"
	if _, err := u.AddRole(ctx, Role{ID: "boss", Permission: []byte(`{"super_user":true}`)}); err != nil {
		t.Fatal(err)
	}
	rows := make([]Import, 700)
	for i := range rows {
		rows[i] = Import{User: User{Name: fmt.Sprintf("user%03d", i), Role: "boss", Active: true}, Hash: passwordtest.HarperMD5("one")}
	}
	if _, err := u.ImportUsers(ctx, rows, false); err != nil {
		t.Fatal(err)
	}
	th := u.NewThrottle(throttle.Limits{})
	for _, name := range []string{"user000", "user111", "user222", "user333", "user444"} {
		if wait, err := th.Reserve(ctx, name, "192.0.2.1"); wait != 0 || err != nil {
			t.Errorf("%s waits %v, %v", name, wait, err)
		}
		alive := openSession(t, u, name)
		for range 2 { // the first login stores a better hash
			hook.set(-1)
			user, err := u.VerifyPassword(ctx, name, "one")
			if err != nil || !user.SuperUser {
				t.Errorf("%s: %+v, %v", name, user, err)
			}
		}
		if trips := hook.count(); trips != 1 {
			t.Errorf("%s: %d round trips", name, trips)
		}
		if err := th.Succeeded(ctx, name, "192.0.2.1"); err != nil {
			t.Error(err)
		}
		if err := u.ChangeUser(ctx, name, UserChange{Password: &pass}); err != nil || alive() {
			t.Errorf("%s: %v, session alive: %v", name, err, alive())
		}
		if err := u.DropUser(ctx, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := u.ListUsers(ctx); len(list) != len(rows)-5 || err != nil {
		t.Errorf("%d users, %v", len(list), err)
	}
	wantErr(t, "drop role", u.DropRole(ctx, "boss"), ErrInUse)
}
