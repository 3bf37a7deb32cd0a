package storage

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// Keys of issuers are found by issuer, subject and key ID, as in fosite's own store.
func TestIssuerKeys(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		i, ctx := must(NewIssuers(r.Client(t), Options{Timeout: hang})), t.Context()
		one, two, three := issuerKey("one"), issuerKey("two"), issuerKey("one")
		two.Scopes = nil
		three.Subject = "bob"
		for _, key := range []IssuerKey{one, two, three, one} {
			if err := i.PutIssuerKey(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		key, err := i.GetPublicKey(ctx, "issuer", "alice", "one")
		if err != nil || key.KeyID != "one" || !key.Key.(ed25519.PublicKey).Equal(one.Key.Key) {
			t.Errorf("%+v, %v", key, err)
		}
		set, err := i.GetPublicKeys(ctx, "issuer", "alice")
		if err != nil || len(set.Keys) != 2 || set.Keys[0].KeyID != "one" || set.Keys[1].KeyID != "two" {
			t.Errorf("%+v, %v", set, err)
		}
		for id, want := range map[string][]string{"one": {"read"}, "two": nil} {
			if scopes, err := i.GetPublicKeyScopes(ctx, "issuer", "alice", id); err != nil || !cmp.Equal(scopes, want) {
				t.Errorf("%s: %q, %v", id, scopes, err)
			}
		}
		list, err := i.ListIssuerKeys(ctx)
		var names []string
		for _, k := range list {
			names = append(names, k.Issuer+" "+k.Subject+" "+k.Key.KeyID)
		}
		if d := cmp.Diff([]string{"issuer alice one", "issuer alice two", "issuer bob one"}, names); err != nil || d != "" {
			t.Error(d, err)
		}

		if err := errors.Join(i.RemoveIssuerKey(ctx, "issuer", "alice", "one"), i.RemoveIssuerKey(ctx, "issuer", "alice", "two")); err != nil {
			t.Fatal(err)
		}
		_, removed := i.GetPublicKey(ctx, "issuer", "alice", "one")
		_, none := i.GetPublicKeys(ctx, "issuer", "alice")
		_, scopes := i.GetPublicKeyScopes(ctx, "issuer", "bob", "two")
		_, split := i.GetPublicKeys(ctx, "issuerb", "ob")
		for name, err := range map[string]error{
			"removed": removed, "no key": none, "another key ID": scopes, "another issuer": split,
			"removed again": i.RemoveIssuerKey(ctx, "issuer", "alice", "one"), "of nobody": i.RemoveIssuerKey(ctx, "issuer", "carol", "one"),
		} {
			wantErr(t, name, err, fosite.ErrNotFound)
		}
		if _, err := i.GetPublicKey(ctx, "issuer", "bob", "one"); err != nil {
			t.Errorf("the other subject: %v", err)
		}
	})
}

func TestIssuerKeysThatAreRefused(t *testing.T) {
	i, ctx := must(NewIssuers(storagetest.StartMiniredis(t).Client(t), Options{Timeout: hang})), t.Context()
	_, private, _ := ed25519.GenerateKey(nil)
	for name, change := range map[string]func(*IssuerKey){
		"no issuer": func(k *IssuerKey) { k.Issuer = "" }, "no subject": func(k *IssuerKey) { k.Subject = "" },
		"no key ID": func(k *IssuerKey) { k.Key.KeyID = "" }, "no key": func(k *IssuerKey) { k.Key.Key = nil },
		"a private key": func(k *IssuerKey) { k.Key.Key = private },
		"a shared key":  func(k *IssuerKey) { k.Key = jose.JSONWebKey{Key: []byte("secret"), KeyID: "x"} },
	} {
		key := issuerKey("one")
		change(&key)
		wantErr(t, name, i.PutIssuerKey(ctx, key), ErrIssuerKey)
	}
	for n := range maxIssuerKeys {
		if err := i.PutIssuerKey(ctx, issuerKey(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "one too many", i.PutIssuerKey(ctx, issuerKey("more")), ErrIssuerKey)
	wantErr(t, "one in place of another", i.PutIssuerKey(ctx, issuerKey("7")), nil)
	for _, raw := range []string{"{}", "null", `{"v":2,"keys":[{}]}`, "x"} {
		if err := i.db.Client.HSet(ctx, i.db.Keys.Issuers(), issuerField("issuer", "alice"), raw).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := i.GetPublicKeys(ctx, "issuer", "alice")
		_, list := i.ListIssuerKeys(ctx)
		for name, err := range map[string]error{"get": err, "list": list, "put": i.PutIssuerKey(ctx, issuerKey("one"))} {
			wantErr(t, raw+": "+name, err, fosite.ErrTemporarilyUnavailable)
		}
	}
}

// Keys that are stored at the same time are all kept, and none that was removed comes back.
func TestIssuerKeysAtOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		i, ctx := must(NewIssuers(r.Client(t), Options{Timeout: hang})), t.Context()
		if err := i.PutIssuerKey(ctx, issuerKey("old")); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				if err := i.PutIssuerKey(ctx, issuerKey(fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			if err := i.RemoveIssuerKey(ctx, "issuer", "alice", "old"); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		list, err := i.ListIssuerKeys(ctx)
		if err != nil || len(list) != 4 || list[3].Key.KeyID != "3" {
			t.Errorf("%d keys, %v", len(list), err)
		}
	})
}

// An assertion is good once, whether a client authenticates with it or requests a token, and one that has expired is not kept.
func TestAssertionsAreUsedOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s, ctx := newCodeStore(t, r), t.Context()
		later := time.Now().Add(time.Hour)
		if used, err := s.IsJWTUsed(ctx, "one"); used || err != nil {
			t.Errorf("new: %v, %v", used, err)
		}
		wantErr(t, "first", s.MarkJWTUsedForTime(ctx, "one", later), nil)
		if used, err := s.IsJWTUsed(ctx, "one"); !used || err != nil {
			t.Errorf("used: %v, %v", used, err)
		}
		wantErr(t, "again", s.MarkJWTUsedForTime(ctx, "one", later), fosite.ErrJTIKnown)
		wantErr(t, "as a client", s.SetClientAssertionJWT(ctx, "one", later), fosite.ErrJTIKnown)
		wantErr(t, "again, expired", s.SetClientAssertionJWT(ctx, "one", time.Now().Add(-time.Hour)), fosite.ErrJTIKnown)
		for range 2 { // as in fosite's own store
			wantErr(t, "expired", s.SetClientAssertionJWT(ctx, "two", time.Now().Add(-time.Hour)), nil)
			wantErr(t, "expired", s.MarkJWTUsedForTime(ctx, "two", time.Time{}), nil)
		}
		wantErr(t, "not kept", s.ClientAssertionJWTValid(ctx, "two"), nil)
	})
}

// A session without a client, which fosite's grant of RFC 7523 opens when the client need not authenticate, is found again.
func TestSessionWithoutAClient(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s := newCodeStore(t, r)
		for name, native := range codeForms {
			i := s.issue(native, "alice", time.Minute)
			i.request.Client = &fosite.DefaultClient{}
			i.request.Session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
			if err := s.CreateAccessTokenSession(t.Context(), i.sign("access"), i.request); err != nil {
				t.Fatal(err)
			}
			req, err := s.GetAccessTokenSession(t.Context(), i.sign("access"), &storagetest.Session{})
			if err != nil || req.GetClient().GetID() != "" || req.GetSession().GetSubject() != "alice" {
				t.Errorf("%s: %v, %v", name, req, err)
			}
			if err := s.RevokeSubject(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			if s.open(i) {
				t.Errorf("%s: the session of a user whose sessions were ended is there", name)
			}
		}
	})
}
