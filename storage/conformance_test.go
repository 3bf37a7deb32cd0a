package storage_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// The suite runs on each Redis four times: with IDs and signatures of this package and with those of stock fosite,
// strict and with a grace.
func TestConformance(t *testing.T) {
	for name, h := range map[string]storagetest.Harness{
		"own signatures, strict":      {RequestID: storage.NewSessionID, Signature: ownSignature},
		"own signatures, grace":       {RequestID: storage.NewSessionID, Signature: ownSignature, Grace: 400 * time.Millisecond},
		"foreign signatures, strict":  {},
		"foreign signatures, grace":   {Grace: 400 * time.Millisecond},
		"own IDs, foreign signatures": {RequestID: storage.NewSessionID},
		"own signatures, access tokens that prove themselves": {
			RequestID: storage.NewSessionID, Signature: ownSignature,
			NewSession: func() fosite.Session { return &proving{} },
			KnownDeviations: map[string]string{
				"access/an unknown signature is not found":  "a token that was verified is as good as its session: no record of each is kept",
				"refresh/rotating a used token brings none": "the token that was not issued has no record either, and nobody holds it",
				"transaction/that loses writes nothing":     "the token that was not issued has no record either, and nobody holds it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("miniredis", func(t *testing.T) {
				conform(t, h, storagetest.StartMiniredis)
			})
			if quick := name == "own signatures, strict" || name == "foreign signatures, grace"; testing.Short() || !quick && effort() == effortQuick {
				return
			}
			t.Run("redis-server", func(t *testing.T) {
				conform(t, h, storagetest.StartInstance)
			})
		})
	}
}

// proving is the session of a server whose access tokens are JWTs, which it verifies before it asks the store.
type proving struct{ storagetest.Session }

func (*proving) SelfContainedAccess() bool { return true }

func (s *proving) Clone() fosite.Session {
	inner, _ := s.Session.Clone().(*storagetest.Session)
	return &proving{Session: *inner}
}

func ownSignature(requestID string) string { return storage.Signature(requestID, rand.Text()) }

func conform(t *testing.T, h storagetest.Harness, start func(testing.TB) *storagetest.Instance) {
	h.Unavailable = fosite.ErrTemporarilyUnavailable
	timeout := 1200 * time.Millisecond // the default
	if testing.Short() {
		timeout = 8 * time.Second // with the race detector on a busy machine
	}
	h.AnswerWithin = timeout + 300*time.Millisecond
	h.New = func(t *testing.T) storagetest.Fixture {
		r := start(t)
		s := newStore(t, r.Client(t), storage.Options{Grace: h.Grace, Timeout: timeout})
		return storagetest.Fixture{
			Storage:   s,
			AddClient: func(c fosite.Client) error { return s.PutClient(context.Background(), asClient(c, h.Grace)) },
			AddUser: func(name, password string) error {
				return s.Users.AddUser(context.Background(), storage.User{Name: name, Active: true}, password)
			},
			Advance:   r.Advance,
			Break:     func() func() { return r.Break(t) },
			Leftovers: func() ([]string, error) { return sessionKeys(r.Keys(t)), nil },
		}
	}
	storagetest.Run(t, h)
}

func newStore(t testing.TB, client redis.UniversalClient, o storage.Options) *storage.Store {
	t.Helper()
	s, err := storage.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asClient(c fosite.Client, grace time.Duration) *storage.Client {
	g := storage.Duration(grace)
	return &storage.Client{
		ID: c.GetID(), Public: c.IsPublic(), Grants: c.GetGrantTypes(), Scopes: c.GetScopes(), Audience: c.GetAudience(), Grace: &g,
	}
}

// sessionKeys are the keys that belong to sessions, with their indexes and pointers.
func sessionKeys(keys []string) []string {
	var left []string
	for _, k := range keys {
		switch strings.SplitN(strings.TrimPrefix(k, "opgrant:"), ":", 2)[0] {
		case "epoch", "c", "clients", "u", "users", "roles", "supers", "keys", "probe", "t":
		default:
			left = append(left, k)
		}
	}
	return left
}
