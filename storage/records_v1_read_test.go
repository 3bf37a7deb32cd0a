package storage_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// storeV1 is a store that holds the records of the version before, and an authorization server on it.
type storeV1 struct {
	*storage.Store
	server  *authserver.Server
	records recordsV1
}

// onRecordsV1 runs a test on miniredis and on a redis-server that hold the records of the version before.
func onRecordsV1(t *testing.T, test func(t *testing.T, s storeV1)) {
	t.Helper()
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		rdb := r.Client(t)
		test(t, openV1(t, rdb, loadRecordsV1(t, rdb)))
	})
}

func openV1(t *testing.T, rdb redis.UniversalClient, m recordsV1) storeV1 {
	t.Helper()
	s, err := storage.New(rdb, storage.Options{Secret: []byte(m.Secret), Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.New(keys.Config{Store: s.Keys})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	server, err := authserver.New(authserver.Config{
		Issuer: m.Issuer, Storage: s, Users: s.Users, Keys: set, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return storeV1{Store: s, server: server, records: m}
}

// A store that the version before wrote is read as that version read it.
func TestRecordsOfTheVersionBeforeAreRead(t *testing.T) {
	onRecordsV1(t, func(t *testing.T, s storeV1) {
		s.check(t)
		s.checkLists(t)
	})
}

// check looks every token of every session up.
func (s storeV1) check(t *testing.T) {
	t.Helper()
	counts := map[string]int{}
	for _, r := range s.records.Sessions {
		for _, token := range r.Tokens {
			counts[token.Want]++
			s.checkToken(t, r, token)
		}
	}
	if counts["found"] < 60 || counts["used"] < 30 || counts["not found"] < 20 {
		t.Errorf("the manifest has %v", counts)
	}
}

func (s storeV1) checkToken(t *testing.T, r *recordV1, token tokenV1) {
	t.Helper()
	ctx, name := t.Context(), r.Name+": "+token.Name
	session := r.session()
	req, err := s.lookUp(ctx, token, session)
	if got := outcome(err); got != token.Want {
		t.Errorf("%s: %s (%v), want %s", name, got, err, token.Want)
		return
	}
	if token.Want != "not found" {
		if req.GetID() != r.ID || req.GetClient().GetID() != r.Client || !slices.Equal(req.GetGrantedScopes(), r.Scopes) {
			t.Errorf("%s: session %q of %q with %q", name, req.GetID(), req.GetClient().GetID(), req.GetGrantedScopes())
		}
		if session.GetSubject() != r.Subject || session.GetExpiresAt(fosite.AccessToken).Before(notBefore2050) {
			t.Errorf("%s: subject %q, expires %s", name, session.GetSubject(), session.GetExpiresAt(fosite.AccessToken))
		}
	}
	if token.Owner {
		id, client, err := s.TokenOwner(ctx, token.Signature, token.Refresh)
		if id != r.ID || client != r.Client || err != nil {
			t.Errorf("%s: owner %q, %q, %v", name, id, client, err)
		}
	}
	if token.Raw == "" {
		return
	}
	found, err := s.server.Inspect(ctx, token.Raw)
	switch {
	case token.Want == "found" && (err != nil || found.Session != r.ID || found.Subject != r.Subject || found.Client != r.Client):
		t.Errorf("%s: inspected as %+v, %v", name, found, err)
	case token.Want != "found" && !errors.Is(err, authserver.ErrTokenInvalid):
		t.Errorf("%s: inspected as %+v, %v, want ErrTokenInvalid", name, found, err)
	}
}

var notBefore2050 = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)

func (s storeV1) lookUp(ctx context.Context, token tokenV1, into fosite.Session) (fosite.Requester, error) {
	if token.Refresh {
		return s.GetRefreshTokenSession(ctx, token.Signature, into)
	}
	return s.GetAccessTokenSession(ctx, token.Signature, into)
}

// session is a session of the type that was stored.
func (r *recordV1) session() fosite.Session {
	if r.Stock {
		return &fosite.DefaultSession{}
	}
	return &authserver.Session{}
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "found"
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return "unavailable"
	case errors.Is(err, fosite.ErrInactiveToken):
		return "used"
	case errors.Is(err, fosite.ErrNotFound):
		return "not found"
	}
	return "an unexpected error"
}

// checkLists looks every session up in the lists of its subject and its client.
func (s storeV1) checkLists(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, r := range s.records.Sessions {
		lists := map[string]func() ([]storage.SessionInfo, error){
			"client": func() ([]storage.SessionInfo, error) { return s.SessionsAt(ctx, r.Client) },
		}
		if r.Subject != "" {
			lists["subject"] = func() ([]storage.SessionInfo, error) { return s.SessionsOf(ctx, r.Subject) }
		}
		for of, list := range lists {
			sessions, err := list()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(sessions, func(info storage.SessionInfo) bool { return info.ID == r.ID })
			switch {
			case (i >= 0) != r.Listed:
				t.Errorf("%s: in the list of the %s: %v, want %v", r.Name, of, i >= 0, r.Listed)
			case i >= 0:
				checkInfo(t, r, sessions[i])
			}
		}
		if !r.Listed {
			continue
		}
		info, err := s.Session(ctx, r.ID)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		checkInfo(t, r, info)
	}
}

func checkInfo(t *testing.T, r *recordV1, info storage.SessionInfo) {
	t.Helper()
	if info.ID != r.ID || info.Subject != r.Subject || info.Client != r.Client || !slices.Equal(info.Scopes, r.Scopes) ||
		info.Refreshable != r.Refreshable || info.Expires.Before(notBefore2050) || info.Address != r.Address ||
		info.UserAgent != r.UserAgent || info.Created.Sub(time.UnixMilli(r.Created)).Abs() > time.Second {
		t.Errorf("%s: listed as %+v", r.Name, info)
	}
	if _, err := authserver.DependsOnKey(info.Data, "another"); err != nil && !r.Stock {
		t.Errorf("%s: %v", r.Name, err)
	}
}
