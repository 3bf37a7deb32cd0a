package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// hang is a time-out that exists to fail a test that hangs: a busy machine is not an outage.
const hang = 30 * time.Second

var cheap = passwordtest.Cheap

func testUsers(t *testing.T, r *storagetest.Instance) *Users {
	t.Helper()
	u, err := NewUsers(r.Client(t), Options{Password: cheap, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustAdd(t *testing.T, u *Users, name, password, role string) {
	t.Helper()
	if err := u.AddUser(t.Context(), User{Name: name, Role: role, Active: true}, password); err != nil {
		t.Fatalf("add %s: %v", name, err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// record reads what is stored.
func record(t *testing.T, u *Users, name string) *userRecord {
	t.Helper()
	raw, err := u.raw(t.Context(), "test", name)
	if err != nil {
		t.Fatalf("record of %s: %v", name, err)
	}
	rec, err := decodeUser(raw)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// openSession stands for a login that was completed.
func openSession(t *testing.T, u *Users, subject string) (alive func() bool) {
	t.Helper()
	ctx, id := t.Context(), sessionKey(NewSessionID(subject))
	key := u.db.Keys.Session(id.tag(), id.name())
	if err := u.db.Client.Set(ctx, key, "{}", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	member := redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: id.name() + ":client"}
	if err := u.db.Client.ZAdd(ctx, u.db.Keys.SubjectIndex(id.tag()), member).Err(); err != nil {
		t.Fatal(err)
	}
	return func() bool { return u.db.Client.Exists(ctx, key).Val() == 1 }
}

// importUser imports one user, and tells whether that changed anything.
func importUser(ctx context.Context, u *Users, user User, hash string) (changed bool, err error) {
	results, err := u.ImportUsers(ctx, []Import{{User: user, Hash: hash}}, false)
	if err != nil {
		return false, err
	}
	r := results[0]
	return r.Outcome == ImportAdded || r.Outcome == ImportUpdated, r.Err
}
