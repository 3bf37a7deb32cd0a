package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"

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
	ctx, id := t.Context(), NewSessionID(subject)
	tokens := &Tokens{db: u.db, clients: anyClient{}}
	session := &storagetest.Session{Subject: subject}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	client, _ := anyClient{}.GetClient(ctx, "client")
	req := &fosite.Request{ID: id, Client: client, Session: session}
	if err := tokens.CreateAccessTokenSession(ctx, Signature(id, "access"), req); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		return u.db.Client.Exists(ctx, u.db.Keys.Session(sessionKey(id).tag(), sessionKey(id).name())).Val() == 1
	}
}

type anyClient struct{}

func (anyClient) GetClient(_ context.Context, id string) (fosite.Client, error) {
	return &fosite.DefaultClient{ID: id}, nil
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
