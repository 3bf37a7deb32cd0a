package luacover

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A package with scripts has a test that runs their tables. Run itself fails for a script without one.
func TestEveryPackageTestsItsScripts(t *testing.T) {
	const root = "../../.."
	packages := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		scripts, err := declared(path)
		if err != nil || len(scripts) == 0 {
			return err
		}
		packages++
		tests, err := filepath.Glob(filepath.Join(path, "*_test.go"))
		for _, test := range tests {
			if raw, err := os.ReadFile(test); err == nil && strings.Contains(string(raw), "luacover.Run(") {
				return nil
			}
		}
		t.Errorf("%s has %d scripts, and no test calls luacover.Run", path, len(scripts))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 4 {
		t.Errorf("%d packages with scripts were found", packages)
	}
}

func TestDeclared(t *testing.T) {
	const source = `package p

// one is short.
//
//	KEYS  1 the key
//	ARGV  1 the value
//	reply 1
//	twice writes the same
var one = redisdb.NewScript("return 1")

var (
	two, number = NewScript(text), 2
	other       = elsewhere.NewScript(text)
	three       = prefixed(text)
)

func prefixed(source string) *redisdb.Script { return redisdb.NewScript("local a" + source) }
`
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("p.go", source)
	write("p_test.go", "package p\n\nvar four = redisdb.NewScript(text)\n")
	found, err := declared(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || found[0].name != "one" || found[1].name != "two" || found[2].name != "three" {
		t.Fatalf("%v, want one, two and three", found)
	}
	if diff := cmp.Diff([]string(nil), undocumented(found[0].doc)); diff != "" {
		t.Errorf("one: %s", diff)
	}
	if diff := cmp.Diff(documented, undocumented(found[1].doc)); diff != "" {
		t.Errorf("two: %s", diff)
	}
	for _, call := range []string{"redisdb.NewScript(text)", "prefixed(text)"} {
		write("q.go", "package p\n\nfunc f() { "+call+".Run() }\n")
		if _, err := declared(dir); err == nil {
			t.Errorf("%s in a function: no error", call)
		}
	}
}

func TestHeader(t *testing.T) {
	const source = "-- Adds.\n--\n-- KEYS  1 the key\n-- ARGV  none\n-- reply 1\nlocal a = 1 -- twice the same\n-- twice\n"
	if diff := cmp.Diff([]string{"twice"}, undocumented(header(source))); diff != "" {
		t.Error(diff)
	}
}
