package storage

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A time that a record has no room for is the nearest that it has: a token that expired centuries ago is not valid today, and a
// session that may last for centuries is not over after its first refresh.
func TestTimesBeyondTheRecord(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		store, err := New(r.Client(t), Options{Timeout: hang})
		if err != nil {
			t.Fatal(err)
		}
		client := &Client{ID: "app", Public: true, Grants: []string{"password"}, MaxSessionTTL: math.MaxInt64}
		if err := store.PutClient(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		ctx, id := t.Context(), NewSessionID("bob")
		sign := func(name string) string { return Signature(id, name) }
		session := &storagetest.Session{Subject: "bob"}
		request := &fosite.Request{ID: id, Client: client, Session: session}
		expire := func(access, refresh time.Time) {
			session.SetExpiresAt(fosite.AccessToken, access)
			session.SetExpiresAt(fosite.RefreshToken, refresh)
		}
		get := func(name string) error {
			_, err := store.GetRefreshTokenSession(ctx, sign(name), &storagetest.Session{})
			return err
		}
		soon, far, before := time.Now().Add(time.Hour), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)
		expire(soon, far)
		err = errors.Join(store.CreateAccessTokenSession(ctx, sign("a1"), request), store.CreateRefreshTokenSession(ctx, sign("r1"), "", request))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.RefreshSession(ctx, sign("r1"), sign("a2"), sign("r2"), nil, request); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "after a refresh", get("r2"), nil)
		expire(soon, before)
		if _, err := store.RefreshSession(ctx, sign("r2"), sign("a3"), sign("r3"), nil, request); err != nil {
			t.Fatal(err)
		}
		r.Advance(2 * timeUnit * time.Millisecond) // times are rounded up
		wantErr(t, "a token that expired long ago", get("r3"), fosite.ErrNotFound)
		if _, err := store.RefreshSession(ctx, sign("r3"), sign("a4"), sign("r4"), nil, request); !errors.Is(err, fosite.ErrNotFound) {
			t.Errorf("refresh with a token that expired long ago: %v", err)
		}
	})
}

// A self-contained access token that outlasts the refresh token by less than a minute is good until it expires, although the record
// has no expiry of its own for it.
func TestAccessTokensOutlastTheRefreshToken(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	store, err := New(r.Client(t), Options{Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{ID: "app", Public: true, Grants: []string{"password"}}
	if err := store.PutClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	ctx, id := t.Context(), NewSessionID("bob")
	session := &selfContained{Session: storagetest.Session{Subject: "bob"}}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour+50*time.Second))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	request := &fosite.Request{ID: id, Client: client, Session: session}
	err = errors.Join(
		store.CreateAccessTokenSession(ctx, Signature(id, "access"), request),
		store.CreateRefreshTokenSession(ctx, Signature(id, "refresh"), "", request))
	if err != nil {
		t.Fatal(err)
	}
	get := func() error {
		_, err := store.GetAccessTokenSession(ctx, Signature(id, "access"), &storagetest.Session{})
		return err
	}
	r.Advance(time.Hour + 30*time.Second)
	wantErr(t, "before it expires", get(), nil)
	r.Advance(25 * time.Second)
	wantErr(t, "when it has expired", get(), fosite.ErrNotFound)
}
