package faults_test

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// On a Redis Cluster the records, lists, roles and counters of users are on different nodes.
func TestUsersOnCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client := storagetest.StartCluster(t, storagetest.Options{}).Client(t, nil)
	var trips storagetest.Trips
	client.AddHook(&trips)
	s := newStore(t, client, storage.Options{
		Timeout: 30 * time.Second, Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1},
	})
	if _, err := s.Users.AddRole(ctx, storage.Role{ID: "boss", Permission: []byte(`{"super_user":true}`)}); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("one" + "123456789"))
	hash := "123456789" + hex.EncodeToString(sum[:]) // salt and digest, as the upstream server stores them
	rows := make([]storage.Import, 700)
	for i := range rows {
		rows[i] = storage.Import{User: storage.User{Name: fmt.Sprintf("user%03d", i), Role: "boss", Active: true}, Hash: hash}
	}
	if _, err := s.Users.ImportUsers(ctx, rows, false); err != nil {
		t.Fatal(err)
	}
	app := &storage.Client{ID: "app", Public: true, Grants: []string{"password"}}
	if err := s.PutClient(ctx, app); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"user000", "user111", "user222", "user333", "user444"} {
		id := storage.NewSessionID(name)
		if err := login(ctx, s, storage.Signature(id, "a"), storage.Signature(id, "r"), sessionRequest(id, name, app, time.Hour, time.Hour)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 { // the first login stores a better hash
			trips.Take()
			user, err := s.Users.VerifyPassword(ctx, name, "one", "192.0.2.1")
			if err != nil || !user.SuperUser {
				t.Errorf("%s: %+v, %v", name, user, err)
			}
		}
		if count, commands := trips.Take(); count != 2 {
			t.Errorf("%s: %d round trips %v, want two", name, count, commands)
		}
		password := "two"
		if err := s.Users.ChangeUser(ctx, name, storage.UserChange{Password: &password}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.GetRefreshTokenSession(ctx, storage.Signature(id, "r"), &compact{}); err == nil {
			t.Errorf("%s: a session of the old password is valid", name)
		}
		if err := s.Users.DropUser(ctx, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := s.Users.ListUsers(ctx); len(list) != len(rows)-5 || err != nil {
		t.Errorf("%d users, %v", len(list), err)
	}
	if err := s.Users.DropRole(ctx, "boss"); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("drop role: %v, want ErrInUse", err)
	}
}
