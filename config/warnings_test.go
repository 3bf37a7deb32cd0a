package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/config"
)

// names are the names of the warnings of a configuration, sorted.
func names(c *config.Config) []string {
	found := []string{}
	for _, w := range c.Warnings() {
		found = append(found, w.Name)
	}
	slices.Sort(found)
	return found
}

func TestWarnings(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*config.Config)
		want   []string
	}{
		"with a secret":                  {func(*config.Config) {}, nil},
		"no secret":                      {func(c *config.Config) { c.Secret = "" }, []string{"keys_unsealed"}},
		"no secret, accepted":            {func(c *config.Config) { c.Secret, c.AcceptWarnings = "", []string{"keys_unsealed"} }, nil},
		"another one accepted":           {func(c *config.Config) { c.Secret, c.AcceptWarnings = "", []string{"file_mode"} }, []string{"keys_unsealed"}},
		"issuer on another host":         {func(c *config.Config) { c.Issuer = "http://auth.example" }, []string{"issuer_plaintext"}},
		"issuer with TLS":                {func(c *config.Config) { c.Issuer = "https://auth.example" }, nil},
		"issuer on the loopback":         {func(c *config.Config) { c.Issuer = "http://[::1]:9925/auth" }, nil},
		"issuer on a name like loopback": {func(c *config.Config) { c.Issuer = "http://localhost.example" }, []string{"issuer_plaintext"}},
		"every proxy":                    {func(c *config.Config) { c.TrustedProxies = []string{"0.0.0.0/0"} }, []string{"proxy_any"}},
		"every proxy by IPv6":            {func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/8", "::/0"} }, []string{"proxy_any"}},
		"every proxy in two halves":      {func(c *config.Config) { c.TrustedProxies = []string{"0.0.0.0/1"} }, []string{"proxy_any"}},
		"private proxies":                {func(c *config.Config) { c.TrustedProxies = []string{"10.0.0.0/8", "fc00::/7", "127.0.0.1/32"} }, nil},
		"Redis elsewhere, with password": {func(c *config.Config) { c.Redis.URL = "redis://u:p@cache:6379" }, []string{"redis_plaintext"}},
		"Redis elsewhere, separate":      {func(c *config.Config) { c.Redis.URL, c.Redis.Password = "cache", "p" }, []string{"redis_plaintext"}},
		"Redis elsewhere, no password":   {func(c *config.Config) { c.Redis.URL = "redis://cache:6379" }, nil},
		"Redis elsewhere, TLS":           {func(c *config.Config) { c.Redis.URL = "rediss://u:p@cache:6379" }, nil},
		"Redis here, with password":      {func(c *config.Config) { c.Redis.URL = "redis://u:p@127.0.0.1:6379" }, nil},
		"Redis by a socket":              {func(c *config.Config) { c.Redis.URL = "unix://u:p@/run/redis.sock" }, nil},
		"one node elsewhere":             {func(c *config.Config) { c.Redis.URL = "redis://u:p@localhost:1,10.0.0.1:2" }, []string{"redis_plaintext"}},
		"a Sentinel's password":          {func(c *config.Config) { c.Redis.URL, c.Redis.SentinelPassword = "redis://s:1?master=m", "p" }, []string{"redis_plaintext"}},
		"upstream elsewhere":             {func(c *config.Config) { c.Compat.Upstream = "http://old.example:9925" }, []string{"upstream_plaintext"}},
		"upstream elsewhere, not in use": {func(c *config.Config) { c.Compat.Upstream, c.Compat.Disabled = "http://old.example:9925", true }, nil},
		"upstream with TLS":              {func(c *config.Config) { c.Compat.Upstream = "https://old.example:9925" }, nil},
		"upstream here":                  {func(c *config.Config) { c.Compat.Upstream = "http://127.0.0.2:9935" }, nil},
		"all of them":                    {func(c *config.Config) { *c = risky() }, []string{"issuer_plaintext", "keys_unsealed", "proxy_any", "redis_plaintext", "upstream_plaintext"}},
	} {
		t.Run(name, func(t *testing.T) {
			base := config.Default()
			base.Secret = "a secret of some length"
			row.change(base)
			cfg := load(t, config.Source{Base: base})
			if diff := cmp.Diff(append([]string{}, row.want...), names(cfg)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func risky() config.Config {
	c := config.Default()
	c.Issuer, c.TrustedProxies = "http://auth.example", []string{"::/0"}
	c.Redis.URL, c.Compat.Upstream = "redis://:p@cache", "http://old.example"
	return *c
}

// The modes of the files with secrets matter, that of the configuration only when a secret is in it.
func TestWarningsOfFileModes(t *testing.T) {
	const secret = "a secret of some length"
	for name, row := range map[string]struct {
		yaml       string
		environ    func(dir string) []string
		mode, file os.FileMode // of the file with the secret, and of the configuration
		want       int
	}{
		"secret in the configuration":            {"secret: " + secret, nil, 0o600, 0o644, 1},
		"and open to the group":                  {"secret: " + secret, nil, 0o600, 0o640, 1},
		"and writable by others":                 {"secret: " + secret, nil, 0o600, 0o602, 1},
		"secret in a protected configuration":    {"secret: " + secret, nil, 0o600, 0o600, 0},
		"read-only":                              {"secret: " + secret, nil, 0o600, 0o400, 0},
		"password of a user":                     {"users: [{username: u, password: p}]", nil, 0o600, 0o644, 1},
		"secret of a client":                     {"clients: [{id: c, secret: long enough secret}]", nil, 0o600, 0o644, 1},
		"password in an address":                 {"redis: redis://:p@127.0.0.1", nil, 0o600, 0o644, 1},
		"password in a longer address":           {"redis: {url: redis://:p@127.0.0.1}", nil, 0o600, 0o644, 1},
		"nothing secret":                         {"redis: {url: redis://127.0.0.1}\nlog: {level: warn}", nil, 0o600, 0o644, 0},
		"secret in a file":                       {"secret_file: DIR/secret", nil, 0o644, 0o644, 1},
		"secret in a protected file":             {"secret_file: DIR/secret", nil, 0o600, 0o644, 0},
		"password of a user in a file":           {"users: [{username: u, password_file: DIR/secret}]", nil, 0o640, 0o644, 1},
		"secret in a file that a variable names": {"", func(dir string) []string { return []string{"OPGRANT_SECRET_FILE=" + dir + "/secret"} }, 0o644, 0o644, 1},
		"secret in a variable":                   {"", func(string) []string { return []string{"OPGRANT_SECRET=" + secret} }, 0o600, 0o644, 0},
		"two files":                              {"secret_file: DIR/secret\nredis: {password: p}", nil, 0o644, 0o644, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for path, content := range map[string]string{"secret": secret, "c.yaml": strings.ReplaceAll(row.yaml, "DIR", dir)} {
				if err := os.WriteFile(filepath.Join(dir, path), []byte(content+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for path, mode := range map[string]os.FileMode{"secret": row.mode, "c.yaml": row.file} {
				if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
					t.Fatal(err)
				}
			}
			source := config.Source{Path: filepath.Join(dir, "c.yaml")}
			if row.environ != nil {
				source.Environ = row.environ(dir)
			}
			cfg := load(t, source)
			cfg.AcceptWarnings = []string{"keys_unsealed"}
			if got := names(cfg); len(got) != row.want || row.want > 0 && got[0] != "file_mode" {
				t.Errorf("warnings %v, want %d", cfg.Warnings(), row.want)
			}
		})
	}
}

// The group of a file that belongs to another user may read it: the server is in that group.
func TestGroupMayReadTheFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := write(t, "c.yaml", "secret: a secret of some length\n")
	if err := os.Chown(path, 65532, 0); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]int{0o640: 0, 0o644: 1, 0o604: 1} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := load(t, config.Source{Path: path}).Warnings(); len(got) != want {
			t.Errorf("%#o: %v", mode, got)
		}
	}
}
