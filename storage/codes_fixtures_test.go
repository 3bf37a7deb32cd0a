package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// codeStore is a store with a client, a user, and codes of hers.
type codeStore struct {
	*Store
	t *testing.T
}

func newCodeStore(t *testing.T, r *storagetest.Instance) *codeStore {
	t.Helper()
	store, err := New(r.Client(t), Options{Password: cheap, Timeout: hang, ClientCache: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, store.Users, "alice", "one", "")
	s := &codeStore{Store: store, t: t}
	if err := store.PutClient(t.Context(), codeClient()); err != nil {
		t.Fatal(err)
	}
	return s
}

func codeClient() *Client {
	return &Client{
		ID: "app", Public: true, Grants: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://app.example/done"},
	}
}

// issued is a code that was issued, with its request.
type issued struct {
	signature string
	request   *fosite.Request
	native    bool
}

// sign returns the signature of a token or code of the request.
func (i *issued) sign(name string) string {
	if i.native {
		return Signature(i.request.ID, name)
	}
	return name + "." + i.request.ID
}

// codeForms are the two forms of request IDs and signatures.
var codeForms = map[string]bool{"own signatures": true, "foreign signatures": false}

// issue issues a code to alice, or to a subject that is not a user of the store.
func (s *codeStore) issue(native bool, subject string, ttl time.Duration) *issued {
	s.t.Helper()
	session := &storagetest.Session{Subject: subject, Username: "Alice"}
	session.SetExpiresAt(fosite.AuthorizeCode, time.Now().Add(ttl))
	client, err := s.Client(s.t.Context(), "app")
	if err != nil {
		s.t.Fatal(err)
	}
	i := &issued{native: native, request: &fosite.Request{
		ID: rand.Text(), Client: client, Session: session, RequestedAt: time.Now(),
		RequestedScope: fosite.Arguments{"read", "write"}, GrantedScope: fosite.Arguments{"read"},
		RequestedAudience: fosite.Arguments{"one", "two"}, GrantedAudience: fosite.Arguments{"one"},
		Form: url.Values{"redirect_uri": {"https://app.example/done"}, "client_secret": {"hidden-secret"}, "password": {"hidden-password"}},
	}}
	if native {
		i.request.ID = NewSessionID(subject)
	}
	i.signature = i.sign("code")
	if err := s.CreateAuthorizeCodeSession(s.t.Context(), i.signature, i.request); err != nil {
		s.t.Fatal(err)
	}
	return i
}

// exchange makes the calls of fosite's handler. between is called once the code has been read, and before it is used, and then within
// the transaction, before its Commit.
func (s *codeStore) exchange(i *issued, between, beforeCommit func()) error {
	ctx := s.t.Context()
	req, err := s.GetAuthorizeCodeSession(ctx, i.signature, &storagetest.Session{})
	if err != nil {
		return err
	}
	req.GetSession().SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	req.GetSession().SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	if between != nil {
		between()
	}
	ctx, err = s.BeginTX(ctx)
	if err != nil {
		return err
	}
	err = s.InvalidateAuthorizeCodeSession(ctx, i.signature)
	if err == nil {
		err = s.CreateAccessTokenSession(ctx, i.sign("access"), req)
	}
	if err == nil {
		err = s.CreateRefreshTokenSession(ctx, i.sign("refresh"), i.sign("access"), req)
	}
	if err != nil {
		return errors.Join(err, s.Rollback(ctx))
	}
	if beforeCommit != nil {
		beforeCommit()
	}
	return s.Commit(ctx)
}

// get looks the code up.
func (s *codeStore) get(i *issued) (fosite.Requester, error) {
	return s.GetAuthorizeCodeSession(s.t.Context(), i.signature, &storagetest.Session{})
}

// open tells whether one of the tokens for the code is good.
func (s *codeStore) open(i *issued) bool {
	_, access := s.GetAccessTokenSession(s.t.Context(), i.sign("access"), &storagetest.Session{})
	_, refresh := s.GetRefreshTokenSession(s.t.Context(), i.sign("refresh"), &storagetest.Session{})
	return access == nil || refresh == nil
}

// notCode checks that a code is refused as one that was never there.
func (s *codeStore) notCode(what string, err error) {
	s.t.Helper()
	if !errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		s.t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

// codeEndings are what ends the codes of alice and of the client.
var codeEndings = map[string]func(context.Context, *Store) error{
	"a new password": func(ctx context.Context, s *Store) error {
		password := "two"
		return s.Users.ChangeUser(ctx, "alice", UserChange{Password: &password})
	},
	"a revocation": func(ctx context.Context, s *Store) error { return s.RevokeSubject(ctx, "alice") },
	"a disabled user": func(ctx context.Context, s *Store) error {
		off := false
		return s.Users.ChangeUser(ctx, "alice", UserChange{Active: &off})
	},
	"a dropped user": func(ctx context.Context, s *Store) error { return s.Users.DropUser(ctx, "alice") },
	"a user of that name": func(ctx context.Context, s *Store) error {
		return errors.Join(s.Users.DropUser(ctx, "alice"), s.Users.AddUser(ctx, User{Name: "alice", Active: true}, "one"))
	},
	"the client's end": func(ctx context.Context, s *Store) error { _, err := s.RevokeClient(ctx, "app"); return err },
	"a removed client": func(ctx context.Context, s *Store) error { return s.RemoveClient(ctx, "app") },
	"a client of that ID": func(ctx context.Context, s *Store) error {
		return errors.Join(s.RemoveClient(ctx, "app"), s.PutClient(ctx, codeClient()))
	},
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
