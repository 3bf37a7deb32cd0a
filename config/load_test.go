package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, src config.Source) *config.Config {
	t.Helper()
	cfg, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestNothingToldIsTheDefault(t *testing.T) {
	if diff := cmp.Diff(config.Default(), load(t, config.Source{})); diff != "" {
		t.Error(diff)
	}
}

func TestExampleLoads(t *testing.T) {
	cfg := load(t, config.Source{Path: "example.yaml"})
	if got := cfg.Clients[0].ID + " " + cfg.Clients[1].ID + " " + cfg.Users[0].Username; got != "operations demo HDB_ADMIN" {
		t.Errorf("clients and users: %s", got)
	}
}

// The example claims to name every setting with its default, or with an example where it has none.
func TestExampleShowsTheDefaults(t *testing.T) {
	cfg := load(t, config.Source{Path: "example.yaml"})
	cfg.Issuer, cfg.Secret, cfg.TrustedProxies = "", "", nil
	cfg.Redis.Username, cfg.Redis.Password = "", ""
	cfg.Clients, cfg.Users, cfg.SecretFiles = nil, nil, nil
	if diff := cmp.Diff(config.Default(), cfg); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	printed, err := config.Default().Redacted()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(printed) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.Contains(string(text), key+":") {
			t.Errorf("example.yaml does not name %s", key)
		}
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := write(t, "c.yaml", "listen: 127.0.0.1:1\nadmin_listen: 127.0.0.1:2\nissuer: http://file\ntokens: {access_ttl: 2m}\n")
	cfg := load(t, config.Source{
		Path:    file,
		Environ: []string{"OPGRANT_LISTEN=127.0.0.1:11", "OPGRANT_ADMIN_LISTEN=127.0.0.1:12", "OPGRANT_TOKENS_REFRESH_TTL=4m"},
		Flags:   map[string]string{"listen": "127.0.0.1:21", "log.level": "debug"},
	})
	want := config.Default()
	want.Listen = "127.0.0.1:21"
	want.AdminListen = "127.0.0.1:12"
	want.Issuer = "http://file"
	want.Tokens.AccessTTL = 2 * time.Minute
	want.Tokens.RefreshTTL = 4 * time.Minute
	want.Log.Level = "debug"
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentReadsEveryKind(t *testing.T) {
	cfg := load(t, config.Source{Environ: []string{
		"OPGRANT_REDIS=redis://a:1,b:2", "OPGRANT_STRICT=true", "OPGRANT_KEYS_BITS=4096",
		"OPGRANT_TRUSTED_PROXIES=10.0.0.0/8,192.168.0.0/16", "OPGRANT_THROTTLE_WINDOW=90s",
		"OPGRANT_ISSUER=", "OPGRANT_TEST_REQUIRE_REDIS=1", "PATH=/bin", "malformed",
	}})
	want := config.Default()
	want.Redis.URL = "redis://a:1,b:2"
	want.Strict = true
	want.Keys.Bits = 4096
	want.TrustedProxies = []string{"10.0.0.0/8", "192.168.0.0/16"}
	want.Throttle.Window = 90 * time.Second
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestConfigVariableNamesTheFile(t *testing.T) {
	file := write(t, "c.yaml", "redis: rediss://cache:6380/3\n")
	cfg := load(t, config.Source{Environ: []string{"OPGRANT_CONFIG=" + file}})
	if cfg.Redis.URL != "rediss://cache:6380/3" || cfg.Redis.Prefix != "opgrant:" {
		t.Errorf("the short form of redis: %+v", cfg.Redis)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	secret := write(t, "secret", "a secret of some length\r\n")
	address := write(t, "address", "redis://:pw@host:1\n")
	password := write(t, "password", " spaces and\ttabs \n\n")
	file := write(t, "c.yaml", fmt.Sprintf("secret_file: %s\nusers:\n- {username: u, password_file: %s}\n"+
		"clients:\n- {id: c, grants: [password], secret_file: %s}\nredis: {password: overridden}\n", secret, password, secret))
	cfg := load(t, config.Source{Path: file, Environ: []string{
		"OPGRANT_REDIS_FILE=" + address, "OPGRANT_REDIS_PASSWORD_FILE=" + password,
	}})
	for name, pair := range map[string][2]string{
		"from the file":             {string(cfg.Secret), "a secret of some length"},
		"in a list":                 {string(cfg.Clients[0].Secret), "a secret of some length"},
		"one line break taken off":  {string(cfg.Users[0].Password), " spaces and\ttabs \n"},
		"address by variable":       {string(cfg.Redis.URL), "redis://:pw@host:1"},
		"variable over file's text": {string(cfg.Redis.Password), " spaces and\ttabs \n"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", name, pair[0], pair[1])
		}
	}
}

func TestAListOfSecretsComesFromFiles(t *testing.T) {
	one, two := write(t, "one", "the first of two secrets\n"), write(t, "two", "the second of two secrets\n")
	want := []config.Secret{"the first of two secrets", "the second of two secrets"}
	const secret = "secret: a secret of some length\n"
	for name, source := range map[string]config.Source{
		"file":     {Path: write(t, "a.yaml", secret+"other_secrets: ["+string(want[0])+", "+string(want[1])+"]\n")},
		"files":    {Path: write(t, "b.yaml", secret+"other_secrets_file: ["+one+", "+two+"]\n")},
		"variable": {Path: write(t, "c.yaml", secret), Environ: []string{"OPGRANT_OTHER_SECRETS=" + string(want[0]) + "," + string(want[1])}},
		"files by a variable": {Path: write(t, "d.yaml", secret+"other_secrets: [this one is overridden]\n"), Environ: []string{
			"OPGRANT_OTHER_SECRETS_FILE=" + one + "," + two,
		}},
	} {
		if got := load(t, source).OtherSecrets; !slices.Equal(got, want) {
			t.Errorf("%s: %d secrets", name, len(got))
		}
	}
	_, err := config.Load(config.Source{Path: write(t, "e.yaml", secret+"other_secrets_file: ["+one+", /nowhere]\n")})
	if err == nil || !strings.Contains(err.Error(), "other_secrets_file: /nowhere: ") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestProblemsAreReportedAllAtOnce(t *testing.T) {
	empty := write(t, "empty", "\n")
	file := write(t, "c.yaml", `
listen: nonsense
Issuer: http://wrong.case
lisen: 127.0.0.1:1
secret: 0123
secret_file: /nowhere
log: {level: loud, colour: true}
tokens: {access_ttl: 3600, refresh_ttl: soon}
keys: {bits: many}
redis: {url: "http://x", tls: {ca: x}}
throttle: {disabled: maybe, per_address: 100}
clients:
- {id: a, grants: [password, implicit], profile: modern}
- {id: a, grants: [client_credentials], typo: 1}
users:
- {username: u, password_file: `+empty+`}
`)
	_, err := config.Load(config.Source{
		Path: file, Environ: []string{"OPGRANT_LISTN=x", "OPGRANT_LOG_FORMAT=xml"},
		CheckClient: func(c config.Client) policy.Problems {
			return policy.Client{ID: c.ID, Public: true, Grants: c.Grants, Profile: c.Profile}.Problems()
		},
	})
	if err == nil {
		t.Fatal("no problem found")
	}
	for _, want := range []string{
		`listen: "nonsense" is not host:port`,
		`Issuer: no such setting`,
		`lisen: no such setting`,
		`secret_file: set beside secret`,
		`secret: not a text`,
		`log.level: "loud" is not one of debug, info, warn, error`,
		`log.colour: no such setting`,
		`tokens.access_ttl: 3600 is not a duration`,
		`tokens.refresh_ttl: "soon" is not a duration`,
		`keys.bits: "many" is not a whole number`,
		`log.format: "xml" is not one of json, text`,
		`redis: "http://" is not one of redis://, rediss://, unix://`,
		`redis.tls.ca: no such setting`,
		`throttle.disabled: "maybe" is neither true nor false`,
		`throttle.per_address: no such setting`,
		`clients[0].grants: "implicit" is not one of`,
		`clients[0].profile: "modern" is not one of`,
		`clients[1].id: "a" is in the list twice`,
		`clients[1].typo: no such setting`,
		`clients[1].grants: client_credentials is not for public clients`,
		`users[0].password_file: ` + empty + ` is empty`,
		`OPGRANT_LISTN: no such setting`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("reported:\n%v", err)
	}
}

func TestListsOfTheBaseAreReplacedNotMixed(t *testing.T) {
	base := config.Default()
	base.Clients = []config.Client{{ID: "old", Secret: "a secret", Grants: []string{"password", "refresh_token"}}, {ID: "other", Grants: []string{"password"}}}
	cfg := load(t, config.Source{Base: base, Path: write(t, "c.yaml", "clients: [{id: new, grants: [password]}]\n")})
	if diff := cmp.Diff([]config.Client{{ID: "new", Grants: []string{"password"}}}, cfg.Clients); diff != "" {
		t.Error(diff)
	}
	if base.Clients[0].ID != "old" {
		t.Error("the base was written to")
	}
	cfg = load(t, config.Source{Base: base})
	if diff := cmp.Diff(base.Clients, cfg.Clients); diff != "" {
		t.Error(diff)
	}
}

func TestDatesNeedNoQuotes(t *testing.T) {
	cfg := load(t, config.Source{
		Path:    write(t, "c.yaml", "compat: {deprecation: 2027-01-01}\n"),
		Environ: []string{"OPGRANT_COMPAT_SUNSET=2027-06-30T12:00:00+02:00"},
	})
	if got, want := cfg.Compat.Deprecation.Time(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("deprecation: %s, want %s", got, want)
	}
	if got, want := cfg.Compat.Sunset.Time(), time.Date(2027, 6, 30, 10, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("sunset: %s, want %s", got, want)
	}
	for _, date := range []string{"2027-06-30T12:00:00Z", `"2027-06-30T12:00:00Z"`} {
		cfg = load(t, config.Source{Path: write(t, "c.yaml", "compat: {sunset: "+date+"}\n")})
		if cfg.Compat.Sunset != "2027-06-30T12:00:00Z" {
			t.Errorf("sunset: %s is read as %s", date, cfg.Compat.Sunset)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	for name, content := range map[string]string{"not YAML": "a: [", "a key twice": "listen: a:1\nlisten: b:1\n", "a list": "- a\n"} {
		if _, err := config.Load(config.Source{Path: write(t, "c.yaml", content)}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := config.Load(config.Source{Path: "/nowhere.yaml"}); err == nil || !strings.HasPrefix(err.Error(), "--config: ") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	cfg := config.Default()
	cfg.Secret, cfg.OtherSecrets = "canary-1", []config.Secret{"canary-7"}
	cfg.Redis.URL = "redis://user:canary-2@host:1/0"
	cfg.Redis.Password = "canary-3"
	cfg.Clients = []config.Client{{ID: "c", Secret: "canary-4"}}
	cfg.Users = []config.User{{Username: "u", Password: "canary-5"}}
	cfg.Compat.UpstreamPassword = "canary-6"
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	byValue, err := json.Marshal(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "cfg", cfg, "value", *cfg, "secret", cfg.Secret, "url", cfg.Redis.URL)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", cfg, "value", *cfg, "secret", cfg.Secret, "url", cfg.Redis.URL)
	for name, text := range map[string]string{
		"String": cfg.String(), "JSON": string(asJSON), "JSON by value": string(byValue), "log": log.String(),
		"%v": fmt.Sprintf("%v %v", cfg, *cfg), "%+v": fmt.Sprintf("%+v %+v", cfg, *cfg), "%#v": fmt.Sprintf("%#v", *cfg), "%q": fmt.Sprintf("%q", cfg.Secret),
	} {
		if strings.Contains(text, "canary") {
			t.Errorf("%s shows a secret: %s", name, text)
		}
	}
	if !strings.Contains(cfg.String(), "redis://user:[redacted]@host:1/0") {
		t.Errorf("the address without its password is missing from %s", cfg)
	}
}

func TestPrintedConfigurationLoadsAgain(t *testing.T) {
	want := config.Default()
	want.Clients = []config.Client{{ID: "c", Grants: []string{"password"}, Grace: new(3 * time.Second), AccessTTL: time.Hour}}
	text, err := want.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	again := load(t, config.Source{Path: write(t, "c.yaml", text)})
	if diff := cmp.Diff(want, again, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
