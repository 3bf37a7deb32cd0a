package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"
)

const root = "../../../.." // of the module

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
		Test    []string `json:"test"`
		Disable bool     `json:"disable"`
	} `json:"healthcheck"`
	StopGracePeriod string `json:"stop_grace_period"`
	DependsOn       map[string]struct {
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
	p := &program{Program: Program{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}}
	cmd, rest, err := p.root().Find(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if !cmd.Runnable() {
		t.Fatalf("%q: not a command", args)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return cmd, p
}

func (f composeFile) programServices() []string { return []string{"seed", "server"} }

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
