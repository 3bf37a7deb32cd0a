package storage_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// The suite runs with IDs and signatures of this package and with those of fosite, without and with a grace. All of it runs on
// miniredis, whose clock can be moved. On a redis-server the two strict modes run without what waits. The rest needs
// OPGRANT_TEST_FAULTS.
func TestConformance(t *testing.T) {
	all := os.Getenv("OPGRANT_TEST_FAULTS") != ""
	for name, h := range map[string]storagetest.Harness{
		"own signatures, strict":      {RequestID: storage.NewSessionID, Signature: ownSignature},
		"own signatures, grace":       {RequestID: storage.NewSessionID, Signature: ownSignature, Grace: time.Second},
		"foreign signatures, strict":  {},
		"foreign signatures, grace":   {Grace: time.Second},
		"own IDs, foreign signatures": {RequestID: storage.NewSessionID},
		"own signatures, self-contained access tokens": {
			RequestID: storage.NewSessionID, Signature: ownSignature,
			NewSession: func() fosite.Session { return &selfContained{} },
			KnownDeviations: map[string]string{
				"access/an unknown signature is not found":                                    "a verified token is valid as long as its session: it has no record of its own",
				"refresh/rotating an inactive token creates none":                             "the token that was not issued has no record either, and no caller has it",
				"transaction/that loses a race writes nothing":                                "the token that was not issued has no record either, and no caller has it",
				"codes/used and unknown codes issue no access token":                          "the token that was not issued has no record either, and no caller has it",
				"code concurrency/the losers of concurrent redemptions write no access token": "the token that was not issued has no record either, and no caller has it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("miniredis", func(t *testing.T) {
				if testing.Short() && !strings.HasSuffix(name, "strict") {
					t.Skip("left out with -short")
				}
				h := h
				if h.Grace > 0 {
					h.Grace = 30 * time.Second // its clock can be moved
				}
				h.CodeMemory = 15 * time.Minute
				conform(t, h, storagetest.StartMiniredis)
			})
			t.Run("redis-server", func(t *testing.T) {
				const reason = "set OPGRANT_TEST_FAULTS=short or full"
				h.Skip = map[string]string{
					"expiry/expired codes leave nothing behind":                            "codes are remembered for 15 minutes",
					"expiry/expired PKCE and OpenID Connect requests leave nothing behind": "so are the requests of codes",
				}
				switch {
				case all:
				case testing.Short() || !strings.HasSuffix(name, "signatures, strict"):
					t.Skip(reason)
				default:
					h.Skip = map[string]string{"expiry": reason, "outage": reason}
				}
				conform(t, h, storagetest.StartInstance)
			})
		})
	}
}

// selfContained is the session of a server whose access tokens are JWTs, which it verifies before it asks the store.
type selfContained struct{ storagetest.Session }

func (*selfContained) SelfContainedAccess() bool { return true }

func (s *selfContained) Clone() fosite.Session {
	inner, _ := s.Session.Clone().(*storagetest.Session)
	return &selfContained{Session: *inner}
}

func ownSignature(requestID string) string { return storage.Signature(requestID, rand.Text()) }

// cheap makes passwords quick to hash, where the cost is not tested.
var cheap = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}

func conform(t *testing.T, h storagetest.Harness, start func(testing.TB) *storagetest.Instance) {
	t.Helper()
	h.Unavailable = fosite.ErrTemporarilyUnavailable
	h.New = func(t *testing.T) storagetest.Fixture {
		r := start(t)
		// The time-out ends every call to a frozen server. It is long enough for a busy machine otherwise.
		s, err := storage.New(r.Client(t), storage.Options{Grace: h.Grace, Timeout: 5 * time.Second, Password: cheap})
		if err != nil {
			t.Fatal(err)
		}
		return storagetest.Fixture{
			Storage:   s,
			AddClient: func(c fosite.Client) error { return s.PutClient(context.Background(), asClient(c, h.Grace)) },
			AddUser: func(name, password string) error {
				return s.Users.AddUser(context.Background(), storage.User{Name: name, Active: true}, password)
			},
			AddIssuerKey: func(issuer, subject string, key *jose.JSONWebKey, scopes []string) error {
				return s.PutIssuerKey(context.Background(), storage.IssuerKey{Issuer: issuer, Subject: subject, Key: *key, Scopes: scopes})
			},
			Advance:   r.Advance,
			Break:     func() func() { return r.Break(t) },
			Leftovers: func() ([]string, error) { return sessionKeys(r.Keys(t)), nil },
		}
	}
	storagetest.Run(t, h)
}

func asClient(c fosite.Client, grace time.Duration) *storage.Client {
	g := storage.Duration(grace)
	return &storage.Client{
		ID: c.GetID(), Public: c.IsPublic(), Grants: c.GetGrantTypes(), Scopes: c.GetScopes(), Audience: c.GetAudience(), Grace: &g,
	}
}

// sessionKeys returns the keys that belong to sessions, with their indexes and pointers.
func sessionKeys(keys []string) []string {
	var left []string
	for _, k := range keys {
		switch strings.SplitN(strings.TrimPrefix(k, "opgrant:"), ":", 2)[0] {
		case "epoch", "c", "clients", "u", "users", "roles", "supers", "keys", "probe", "f":
		default:
			left = append(left, k)
		}
	}
	return left
}
