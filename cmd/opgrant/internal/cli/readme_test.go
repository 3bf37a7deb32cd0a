package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/config"
)

func readme(t *testing.T, heading string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

var code = regexp.MustCompile("`([^`]+)`")

// firstCells are the code spans in the first column of the section's table.
func firstCells(section string) []string {
	var list []string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			list = append(list, strings.ReplaceAll(m[1], "\x00", "|"))
		}
	}
	return list
}

func TestReadmeNamesEveryCommand(t *testing.T) {
	p := &program{}
	tree := p.root()
	var real, named []string
	var walk func(*cobra.Command, string)
	walk = func(cmd *cobra.Command, path string) {
		for _, sub := range cmd.Commands() {
			if name := sub.Name(); name != "help" && name != "completion" {
				if !sub.HasSubCommands() {
					real = append(real, strings.TrimSpace(path+" "+name))
				}
				walk(sub, strings.TrimSpace(path+" "+name))
			}
		}
	}
	walk(tree, "")
	for _, cell := range firstCells(readme(t, "Commands")) {
		words := strings.Fields(cell)
		for _, last := range strings.Split(words[len(words)-1], "|") {
			named = append(named, strings.Join(append(words[:len(words)-1:len(words)-1], last), " "))
		}
	}
	slices.Sort(real)
	slices.Sort(named)
	if !slices.Equal(real, named) {
		t.Errorf("README.md names\n%q\nand there are\n%q", named, real)
	}
}

func TestReadmeNamesRealFlagsAndVariables(t *testing.T) {
	section := readme(t, "Configuration")
	serve, _, err := (&program{}).root().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range firstCells(section) {
		if serve.Flag(strings.TrimPrefix(cell, "--")) == nil && serve.InheritedFlags().Lookup(strings.TrimPrefix(cell, "--")) == nil {
			t.Errorf("serve has no flag %s", cell)
		}
	}
	for _, name := range regexp.MustCompile(`OPGRANT_[A-Z_]+`).FindAllString(section, -1) {
		if _, err := config.Load(config.Source{Environ: []string{name + "=/nowhere"}}); err != nil && strings.Contains(err.Error(), "no such setting") {
			t.Error(err)
		}
	}
	if got := config.Default(); !strings.Contains(section, got.Listen) || !strings.Contains(section, got.AdminListen) || !strings.Contains(section, string(got.Redis.URL)) {
		t.Error("the defaults have changed")
	}
}
