package storagetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/handler/rfc7523"
	"github.com/ory/fosite/handler/verifiable"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// mustFail runs the suite's tests that must find the mistake.
func mustFail(t *testing.T, mistake string, caught []string, fixture func(*testing.T) storagetest.Fixture) {
	t.Helper()
	deviations, skip := map[string]string{}, map[string]string{}
	for _, n := range storagetest.Names() {
		skip[n] = "not the subject of this mutant"
	}
	for _, n := range caught {
		delete(skip, n)
		deviations[n] = mistake
	}
	storagetest.Run(t, storagetest.Harness{New: fixture, CodeMemory: 15 * time.Minute, KnownDeviations: deviations, Skip: skip})
}

// revocable is what every store of the suite is.
type revocable = oauth2.TokenRevocationStorage

// memoryMutants wrap fosite's own store, which passes the tests listed for them: see TestFositeMemoryStore. :: mistake → mutant
type memoryMutants map[string]struct {
	store  func(memory) revocable
	caught []string
}

type memory struct{ *fositestorage.MemoryStore }

func (m memoryMutants) mustFail(t *testing.T) {
	t.Helper()
	for mistake, mutant := range m {
		t.Run(mistake, func(t *testing.T) {
			mustFail(t, mistake, mutant.caught, func(*testing.T) storagetest.Fixture {
				s := fositestorage.NewMemoryStore()
				return memoryFixture(s, mutant.store(memory{s}))
			})
		})
	}
}

// storeMutants wrap this module's store. :: mistake → mutant
type storeMutants map[string]struct {
	store  func(whole) whole
	caught []string
}

// whole is all of fosite's storage but clients and users.
type whole interface {
	tokens
	oauth2.AuthorizeCodeStorage
	pkce.PKCERequestStorage
	openid.OpenIDConnectRequestStorage
	fosite.PARStorage
	rfc7523.RFC7523KeyStorage
	verifiable.NonceManager
}

func all(t *testing.T, s any) whole {
	t.Helper()
	w, ok := s.(whole)
	if !ok {
		t.Fatalf("%T does not have all of fosite's storage", s)
	}
	return w
}

func (m storeMutants) mustFail(t *testing.T) {
	t.Helper()
	for mistake, mutant := range m {
		t.Run(mistake, func(t *testing.T) {
			mustFail(t, mistake, mutant.caught, func(t *testing.T) storagetest.Fixture {
				return redisFixture(t, func(s *storage.Store) revocable { return mutant.store(all(t, s)) })
			})
		})
	}
}

// redisFixture is this module's store on miniredis, wrapped in a mutant.
func redisFixture(t *testing.T, wrap func(*storage.Store) revocable) storagetest.Fixture {
	t.Helper()
	r := storagetest.StartMiniredis(t)
	s, err := storage.New(r.Client(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	none := storage.Duration(0)
	return storagetest.Fixture{
		Storage: wrap(s),
		AddClient: func(c fosite.Client) error {
			return s.PutClient(context.Background(), &storage.Client{
				ID: c.GetID(), Public: true, Grants: c.GetGrantTypes(), Scopes: c.GetScopes(), Audience: c.GetAudience(), Grace: &none,
			})
		},
		Advance:   r.Advance,
		Break:     func() func() { return r.Break(t) },
		Leftovers: func() ([]string, error) { return leftovers(r.Keys(t)), nil },
	}
}

func leftovers(keys []string) (left []string) {
	for _, k := range keys {
		if k != "opgrant:epoch:2" && k != "opgrant:clients" && k[:10] != "opgrant:c:" {
			left = append(left, k)
		}
	}
	return left
}
