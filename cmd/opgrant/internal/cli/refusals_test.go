package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// refusal is one invalid setting and the three ways to set it.
type refusal struct {
	key     string   // of the setting in its block
	file    string   // YAML
	args    []string // of a command
	environ []string // for settings that no command has a flag for
	api     error    // of the Go API
}

// An invalid setting is refused by the configuration file, the command line and the Go API, with the same sentence.
func TestAnInvalidSettingIsRefusedWithOneSentence(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shortKeySet := `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 170) + `w"}]}`
	shortKey := file("jwks.json", shortKeySet)
	secret, easy := file("short", "seven77"), file("easy", "aaaaaaaa")
	common, good := file("common", "iloveyou"), file("good", "nothing common")
	grants := []string{policy.GrantPassword}
	for name, row := range map[string]refusal{
		"unknown grant": {
			key:  "grants",
			file: "clients: [{id: c, grants: [passwrd]}]",
			args: []string{"client", "add", "c", "--public", "--grant", "passwrd"},
			api:  put(t, storage.Client{Grants: []string{"passwrd"}}),
		},
		"public client with client_credentials": {
			key:  "grants",
			file: "clients: [{id: c, grants: [client_credentials]}]",
			args: []string{"client", "add", "c", "--public", "--grant", "client_credentials"},
			api:  put(t, storage.Client{Grants: []string{policy.GrantClientCredentials}}),
		},
		"no grant": {
			key:  "grants",
			file: "clients: [{id: c}]",
			args: []string{"client", "add", "c", "--public"},
			api:  put(t, storage.Client{}),
		},
		"unknown profile": {
			key:  "profile",
			file: "clients: [{id: c, grants: [password], profile: modern}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--profile", "modern"},
			api:  put(t, storage.Client{Grants: grants, Profile: "modern"}),
		},
		"unknown algorithm": {
			key:  "algorithm",
			file: "clients: [{id: c, grants: [password], algorithm: HS256}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--algorithm", "HS256"},
			api:  put(t, storage.Client{Grants: grants, Algorithm: "HS256"}),
		},
		"legacy profile with ES256": {
			key:  "algorithm",
			file: "clients: [{id: c, grants: [password], profile: legacy, algorithm: ES256}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--profile", "legacy", "--algorithm", "ES256"},
			api:  put(t, storage.Client{Grants: grants, Profile: policy.ProfileLegacy, Algorithm: policy.ES256}),
		},
		"unknown refresh policy": {
			key:  "refresh",
			file: "clients: [{id: c, grants: [password], refresh: sometimes}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--refresh", "sometimes"},
			api:  put(t, storage.Client{Grants: grants, Refresh: "sometimes"}),
		},
		"fapi2 for a public client": {
			key:  "refresh",
			file: "clients: [{id: c, grants: [password], refresh: fapi2}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--refresh", "fapi2"},
			api:  put(t, storage.Client{Grants: grants, Refresh: "fapi2"}),
		},
		"strict with a grace": {
			key:  "grace",
			file: "clients: [{id: c, grants: [password], refresh: strict, grace: 5s}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--refresh", "strict", "--grace", "5s"},
			api:  put(t, storage.Client{Grants: grants, Refresh: "strict", Grace: new(storage.Duration(5 * time.Second))}),
		},
		"RSA key of 1024 bits": {
			key:  "jwks",
			file: "clients: [{id: c, grants: [password], jwks_file: " + shortKey + "}]",
			args: []string{"client", "add", "c", "--grant", "password", "--jwks-file", shortKey},
			api:  put(t, storage.Client{Grants: grants, JWKS: []byte(shortKeySet)}),
		},
		"key set that is not JSON": {
			key:  "jwks",
			file: "clients: [{id: c, grants: [password], jwks_file: " + secret + "}]",
			args: []string{"client", "add", "c", "--grant", "password", "--jwks-file", secret},
			api:  put(t, storage.Client{Grants: grants, JWKS: []byte("seven77")}),
		},
		"grace over a minute": {
			key:  "grace",
			file: "clients: [{id: c, grants: [password], grace: 61s}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--grace", "61s"},
			api:  put(t, storage.Client{Grants: grants, Grace: new(storage.Duration(61 * time.Second))}),
		},
		"negative TTL": {
			key:  "access_ttl",
			file: "clients: [{id: c, grants: [password], access_ttl: -1s}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--access-ttl", "-1s"},
			api:  put(t, storage.Client{Grants: grants, AccessTTL: storage.Duration(-time.Second)}),
		},
		"negative number of sessions": {
			key:  "sessions_per_user",
			file: "clients: [{id: c, grants: [password], sessions_per_user: -1}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--sessions-per-user", "-1"},
			api:  put(t, storage.Client{Grants: grants, SessionsPerUser: -1}),
		},
		"public client that introspects": {
			key:  "introspect",
			file: "clients: [{id: c, grants: [password], introspect: true}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--introspect"},
			api:  put(t, storage.Client{Grants: grants, Introspect: true}),
		},
		"scope with a space": {
			key:  "scopes",
			file: "clients: [{id: c, grants: [password], scopes: [a b]}]",
			args: []string{"client", "add", "c", "--public", "--grant", "password", "--scope", "a b"},
			api:  put(t, storage.Client{Grants: grants, Scopes: []string{"a b"}}),
		},
		"short client secret": {
			key:  "secret",
			file: "clients: [{id: c, grants: [password], secret: seven77}]",
			args: []string{"client", "add", "c", "--grant", "password", "--secret-file", secret},
			api:  hashed("seven77"),
		},
		"client secret that is easy to guess": {
			key:  "secret",
			file: "clients: [{id: c, grants: [password], secret: aaaaaaaa}]",
			args: []string{"client", "add", "c", "--grant", "password", "--secret-file", easy},
			api:  hashed("aaaaaaaa"),
		},
		"short password of a user": {
			key:  "password",
			file: "users: [{username: bob, password: seven77}]",
			args: []string{"user", "add", "bob", "--password-file", secret},
			api:  addUser(t, "bob", "seven77"),
		},
		"common password of a user": {
			key:  "password",
			file: "users: [{username: bob, password: iloveyou}]",
			args: []string{"user", "add", "bob", "--password-file", common},
			api:  addUser(t, "bob", "iloveyou"),
		},
		"name of a user with a space at its end": {
			key:  "username",
			file: "users: [{username: 'bob ', password: nothing common}]",
			args: []string{"user", "add", "bob ", "--password-file", good},
			api:  addUser(t, "bob ", "nothing common"),
		},
		"minimum length of passwords": {
			key:     "min_length",
			file:    "passwords: {min_length: 4}",
			args:    []string{"seed"},
			environ: []string{"OPGRANT_PASSWORDS_MIN_LENGTH=4"},
			api:     newStore(storage.Options{PasswordRules: policy.PasswordRules{MinLength: 4}}),
		},
		"password iterations": {
			key:     "iterations",
			file:    "passwords: {iterations: 50}",
			args:    []string{"seed"},
			environ: []string{"OPGRANT_PASSWORDS_ITERATIONS=50"},
			api:     newStore(storage.Options{Password: policy.PasswordCosts{Iterations: 50}}),
		},
		"password memory": {
			key:     "memory_kib",
			file:    "passwords: {memory_kib: 2097152}",
			args:    []string{"seed"},
			environ: []string{"OPGRANT_PASSWORDS_MEMORY_KIB=2097152"},
			api:     newStore(storage.Options{Password: policy.PasswordCosts{MemoryKiB: 2097152}}),
		},
		"size of RSA keys": {
			key:     "bits",
			file:    "keys: {bits: 1024}",
			args:    []string{"seed"},
			environ: []string{"OPGRANT_KEYS_BITS=1024"},
			api:     newKeys(t, keys.Config{RSABits: 1024}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "opgrant.yaml")
			if err := os.WriteFile(file, []byte(row.file+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			byFile := commandError(t, []string{"config", "check", "--config", file}, nil)
			byCommand := commandError(t, row.args, row.environ)
			want := sentence(t, row.key, row.api)
			if got := sentence(t, row.key, byFile); got != want {
				t.Errorf("file: %q, Go API: %q", got, want)
			}
			if got := sentence(t, row.key, byCommand); got != want {
				t.Errorf("command: %q, Go API: %q", got, want)
			}
		})
	}
}

// sentence returns what an error says after the key, which it must name once.
func sentence(t *testing.T, key string, err error) string {
	t.Helper()
	if err == nil {
		t.Fatal("accepted")
	}
	found := regexp.MustCompile(`(?m)\b`+key+`: (.+)$`).FindAllStringSubmatch(err.Error(), -1)
	if len(found) != 1 {
		t.Fatalf("%d sentences about %s in %q", len(found), key, err)
	}
	return found[0][1]
}

// commandError runs a command that must fail, without a Redis, and returns its error with what it printed.
func commandError(t *testing.T, args, environ []string) error {
	t.Helper()
	var printed strings.Builder
	p := Program{Environ: append(environ, "OPGRANT_REDIS=127.0.0.1:1"), Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &printed}
	err := p.Run(t.Context(), args)
	if err == nil {
		return nil
	}
	var reported ExitCode
	if errors.As(err, &reported) {
		return fmt.Errorf("%s%w", &printed, err)
	}
	return err
}

// put is what the store says to a public client, which it refuses before it asks Redis.
func put(t *testing.T, c storage.Client) error {
	t.Helper()
	c.ID, c.Public = "c", true
	store, err := storage.New(noRedis(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store.PutClient(context.Background(), &c)
}

// addUser is what the store says to a new user, whom it refuses before it asks Redis.
func addUser(t *testing.T, name, password string) error {
	t.Helper()
	store, err := storage.New(noRedis(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store.Users.AddUser(t.Context(), storage.User{Name: name}, password)
}

// hashed is what hashing a client secret says.
func hashed(secret string) error {
	_, err := authserver.Secrets{}.Hash(context.Background(), []byte(secret))
	return err
}

func newStore(o storage.Options) error {
	_, err := storage.New(noRedis(), o)
	return err
}

func newKeys(t *testing.T, c keys.Config) error {
	t.Helper()
	store, err := storage.New(noRedis(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Store = store.Keys
	_, err = keys.New(c)
	return err
}

func noRedis() redis.UniversalClient {
	return storage.Connect(redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})
}
