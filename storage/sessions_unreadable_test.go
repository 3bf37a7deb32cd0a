package storage

import (
	"context"
	"slices"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// elsewhere is a registry of clients whose sessions have no generation: they end one by one.
type elsewhere struct{ client fosite.Client }

func (e elsewhere) GetClient(context.Context, string) (fosite.Client, error) { return e.client, nil }

// A record that cannot be read keeps nobody else's session in, and hides none. Neither does a lost pointer of a foreign request ID.
func TestUnreadableRecordsAreAloneUnreadable(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		l := logIn(t, r)
		rdb, ctx, k := l.store.db.Client, t.Context(), l.store.db.Keys
		l.request.Client = &fosite.DefaultClient{ID: "app"}
		s := &Store{Tokens: newTokens(l.store.db, elsewhere{l.request.Client}, Options{Timeout: hang})}
		bad := NewSessionID("alice")
		ids := []string{NewSessionID("alice"), "foreign", NewSessionID("alice")}
		for _, id := range append(ids, bad) {
			req := *l.request
			req.ID = id
			for i, create := range []func(signature string) error{
				func(signature string) error { return s.CreateAccessTokenSession(ctx, signature, &req) },
				func(signature string) error { return s.CreateRefreshTokenSession(ctx, signature, "", &req) },
			} {
				if err := create("token" + string(rune('a'+i)) + id); err != nil {
					t.Fatal(err)
				}
			}
		}
		key := sessionKey(bad)
		if err := rdb.Set(ctx, k.Session(key.tag(), key.name()), "\x09", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Del(ctx, k.RequestPointer("foreign")).Err(); err != nil {
			t.Fatal(err)
		}
		s = &Store{Tokens: newTokens(l.store.db, elsewhere{l.request.Client}, Options{Timeout: hang})} // knows no pointer

		want := append(slices.Clone(ids), l.request.ID)
		slices.Sort(want)
		check := func(what string, list []SessionInfo, err error, want []string) {
			t.Helper()
			wantErr(t, what, err, fosite.ErrTemporarilyUnavailable)
			var got []string
			for _, info := range list {
				got = append(got, info.ID)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		of, err := s.SessionsOf(ctx, "alice")
		check("SessionsOf", of, err, slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == l.request.ID })) // that has the generation of another registry
		at, err := s.SessionsAt(ctx, "app")
		check("SessionsAt", at, err, slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == l.request.ID }))
		n, err := s.RevokeClient(ctx, "app")
		check("RevokeClient", nil, err, nil)
		if n != len(want) {
			t.Errorf("%d sessions ended, want %d", n, len(want))
		}
		for _, id := range ids {
			_, err := s.GetAccessTokenSession(ctx, "tokena"+id, &storagetest.Session{})
			wantErr(t, id, err, fosite.ErrNotFound)
		}
	})
}
