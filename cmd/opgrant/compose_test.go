package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/config"
)

const root = "../.."

// composeFile is docker-compose.yml as far as it concerns this program.
type composeFile struct {
	Services map[string]composeService `json:"services"`
	Secrets  map[string]struct {
		File string `json:"file"`
	} `json:"secrets"`
}

type composeService struct {
	Image       string            `json:"image"`
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment"`
	Secrets     []string          `json:"secrets"`
	Ports       []string          `json:"ports"`
	Healthcheck *struct {
		Test []string `json:"test"`
	} `json:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `json:"condition"`
	} `json:"depends_on"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	values, err := yaml.Parser().Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err := json.Unmarshal(asJSON, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// parse runs the command line through the real commands, without running the command.
func parse(t *testing.T, args []string) (*cobra.Command, *program) {
	t.Helper()
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	cmd, rest, err := p.root().Find(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if !cmd.Runnable() {
		t.Fatalf("%q: no command", args)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return cmd, p
}

func (f composeFile) ours() []string { return []string{"seed", "server"} }

// environ is the service's environment with the paths of secrets as they are in this tree.
func (f composeFile) environ(t *testing.T, name string) []string {
	t.Helper()
	service := f.Services[name]
	var list []string
	for key, value := range service.Environment {
		if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok {
			if !slices.Contains(service.Secrets, secret) {
				t.Errorf("%s: %s needs the secret %s, which the service does not have", name, key, secret)
			}
			value = f.secretPath(t, secret)
		}
		list = append(list, key+"="+value)
	}
	return list
}

var defaulted = regexp.MustCompile(`^\$\{[A-Z_]+:-(.+)\}$`)

func (f composeFile) secretPath(t *testing.T, name string) string {
	t.Helper()
	path := f.Secrets[name].File
	if m := defaulted.FindStringSubmatch(path); m != nil {
		path = m[1]
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("secret %s: a clone does not have it: %v", name, err)
	}
	return path
}

func TestComposeUsesTheProgramAsItIs(t *testing.T) {
	file := readCompose(t)
	for _, name := range file.ours() {
		t.Run(name, func(t *testing.T) {
			service := file.Services[name]
			_, p := parse(t, service.Command)
			p.environ = file.environ(t, name)
			cfg, err := p.load()
			if err != nil {
				t.Fatal(err)
			}
			endpoint, err := cfg.Redis.Endpoint()
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(endpoint.Addrs[0], ":")
			if _, ok := file.Services[host]; !ok {
				t.Errorf("Redis is looked for at %s, which is no service", host)
			}
			if endpoint.Password == "" || cfg.Secret == "" {
				t.Error("no password for Redis, or no secret for the keys")
			}
			if strings.Contains(cfg.String(), string(endpoint.Password)) {
				t.Error("the password is shown")
			}
			for _, port := range service.Ports {
				published := port[strings.LastIndex(port, ":")+1:]
				if _, listen, _ := net.SplitHostPort(cfg.Listen); listen != published {
					t.Errorf("port %s is published, %s is listened on", published, listen)
				}
				if !strings.HasPrefix(port, "127.0.0.1:") {
					t.Errorf("port %s is open to others, with passwords that are public", port)
				}
			}
		})
	}
	if len(file.Services["server"].Ports) == 0 {
		t.Error("the server publishes no port")
	}
}

func TestComposeSeedsWhatDevHas(t *testing.T) {
	file := readCompose(t)
	_, p := parse(t, file.Services["seed"].Command)
	p.environ = file.environ(t, "seed")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Users) != len(config.Dev().Users) || len(cfg.Clients) != len(config.Dev().Clients) {
		t.Errorf("seeds %d users and %d clients", len(cfg.Users), len(cfg.Clients))
	}
}

// `docker compose up --wait` waits for a one-shot service to end well only when another service depends on that.
func TestComposeStartsInOrder(t *testing.T) {
	file := readCompose(t)
	for _, row := range []struct{ service, on, condition string }{
		{"seed", "redis", "service_healthy"},
		{"server", "redis", "service_healthy"},
		{"server", "seed", "service_completed_successfully"},
	} {
		if got := file.Services[row.service].DependsOn[row.on].Condition; got != row.condition {
			t.Errorf("%s waits for %s %q, want %q", row.service, row.on, got, row.condition)
		}
	}
	redis := file.Services["redis"]
	if redis.Healthcheck == nil {
		t.Fatal("redis has no healthcheck to wait for")
	}
	command := strings.Join(redis.Command, " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction", "/run/secrets/redis_password"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs without %s", want)
		}
	}
	if !slices.Contains(redis.Secrets, "redis_password") {
		t.Error("redis does not get its password")
	}
}

func TestDockerfileUsesTheProgramAsItIs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "\\\n", " ")
	list := func(instruction string) []string {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + instruction + `.*?(\[.*\])$`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s with a list of words", instruction)
		}
		var words []string
		if err := json.Unmarshal([]byte(m[1]), &words); err != nil {
			t.Fatalf("%s: %v", instruction, err)
		}
		return words
	}
	entry := list("ENTRYPOINT")
	if !slices.Equal(entry, []string{"opgrant"}) {
		t.Errorf("ENTRYPOINT %q", entry)
	}
	if cmd, _ := parse(t, list("CMD")); cmd.Name() != "serve" {
		t.Errorf("CMD runs %s", cmd.Name())
	}
	check := list("HEALTHCHECK")
	if check[0] != "opgrant" {
		t.Errorf("HEALTHCHECK runs %s, and the image has nothing but opgrant", check[0])
	}
	if cmd, _ := parse(t, check[1:]); cmd.Name() != "healthcheck" {
		t.Errorf("HEALTHCHECK runs %s", cmd.Name())
	}
	final := text[strings.LastIndex(text, "\nFROM "):]
	if user := regexp.MustCompile(`(?m)^USER (\d+)`).FindStringSubmatch(final); user == nil || user[1] == "0" {
		t.Error("the image runs as root")
	}
	if !strings.Contains(text, "CGO_ENABLED=0") || !strings.HasPrefix(final, "\nFROM scratch") {
		t.Error("the binary is not static, or the image holds more than it")
	}
}

// What the container runs for its health must find the server with the environment that the server has.
func TestHealthcheckFindsTheServerOfTheContainer(t *testing.T) {
	file := readCompose(t)
	_, p := parse(t, []string{"healthcheck"})
	p.environ = file.environ(t, "server")
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if got := reachable(cfg.Listen); got != "127.0.0.1:9925" {
		t.Errorf("asks %s", got)
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:1": "127.0.0.1:1", ":1": "127.0.0.1:1", "[::]:1": "[::1]:1", "10.0.0.1:1": "10.0.0.1:1", "localhost:1": "localhost:1",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}
