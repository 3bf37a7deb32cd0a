package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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
