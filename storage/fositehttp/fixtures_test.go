package fositehttp_test

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	fositestorage "github.com/ory/fosite/storage"
	"github.com/redis/go-redis/v9"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(storagetest.Main(m)) }

const secret = "the secret of the client"

var hashed = func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
}()

func fositeConfig() *fosite.Config {
	config := &fosite.Config{
		GlobalSecret: []byte("thirty-two bytes of secret, here"), RefreshTokenScopes: []string{},
		AccessTokenLifespan: time.Hour, RefreshTokenLifespan: time.Hour, TokenURL: "https://as.example.com/token",
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
		JWKSFetcherStrategy: fosite.NewDefaultJWKSFetcherStrategy(),
	}
	config.ClientSecretsHasher = &fosite.BCrypt{Config: config}
	return config
}

// newProvider is a fosite server with the handlers that stock ones are made of.
func newProvider(config *fosite.Config, store any, more ...compose.Factory) fosite.OAuth2Provider {
	return compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config), append([]compose.Factory{
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory,
	}, more...)...)
}

// newStore returns a store on the server with the client "app" and the user alice.
func newStore(t *testing.T, server *storagetest.Server) *storage.Store {
	t.Helper()
	store := openStore(t, server, storage.Options{})
	app := &storage.Client{
		ID: "app", Secrets: []string{hashed}, Grants: []string{"password", "refresh_token", "client_credentials"}, Scopes: []string{"read"},
	}
	if err := store.PutClient(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if err := store.Users.AddUser(t.Context(), storage.User{Name: "alice", Active: true}, "wonderland"); err != nil {
		t.Fatal(err)
	}
	return store
}

func openStore(t *testing.T, server *storagetest.Server, o storage.Options) *storage.Store {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = hang
	}
	o.Password = policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1}
	store, err := storage.New(connect(t, server), o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// hang is a time-out that exists to fail a test that hangs, on a machine that is busy.
const hang = 30 * time.Second

func connect(t *testing.T, server *storagetest.Server) redis.UniversalClient {
	t.Helper()
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{server.Addr}, DialTimeout: hang, ReadTimeout: hang, PoolTimeout: hang})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// newMemory returns fosite's store in memory, with the client "app" that may use codes.
func newMemory() *fositestorage.MemoryStore {
	memory := fositestorage.NewMemoryStore()
	memory.Clients["app"] = &fosite.DefaultClient{
		ID: "app", Secret: []byte(hashed), RedirectURIs: []string{callback}, Scopes: []string{"read"}, ResponseTypes: []string{"code"},
		GrantTypes: []string{"authorization_code", "refresh_token", "password"},
	}
	return memory
}

const callback = "https://app.example.org/back"

// parts is a store that is made of parts, as the program of a fosite server makes it. What the first three have is theirs.
type parts struct {
	fosite.ClientManager
	oauth2.AuthorizeCodeStorage
	fosite.PARStorage
	tokens
}

type tokens struct{ *storage.Tokens }

// Authenticate knows no user.
func (parts) Authenticate(context.Context, string, string) (string, error) {
	return "", fosite.ErrNotFound
}

var passwordGrant = url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"wonderland"}}

func refreshGrant(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}
