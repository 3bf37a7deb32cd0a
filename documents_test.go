package opgrant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// stopStart is the beginning of a stop of a walk in ARCHITECTURE.md: a number, a file, and a function or Type.Method in it.
	stopStart = regexp.MustCompile("(?m)^\\d+\\. `([^`]+\\.(?:go|lua))` `([^`]+)`")
	// wiredIn names the function that hands a stop to a library as a callback.
	wiredIn = regexp.MustCompile("wired in\\s+`([^`]+)` `([^`]+)`")
)

// TestWalksNameTheCode holds the walks of ARCHITECTURE.md against the code: each stop is there, and is called by an earlier stop
// of its walk. Stops whose file begins with fosite/ are looked up in that module.
func TestWalksNameTheCode(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walks, found := strings.Cut(string(text), "\n## Walks\n")
	walks, _, _ = strings.Cut(walks, "\n## ")
	if !found || strings.Count(walks, "\n### ") < 2 {
		t.Fatal("ARCHITECTURE.md has no walks of a login and of a refresh")
	}
	fosite := moduleDir(t, "github.com/ory/fosite")
	for _, walk := range strings.Split(walks, "\n### ")[1:] {
		title, body, _ := strings.Cut(walk, "\n")
		t.Run(title, func(t *testing.T) {
			var passed []map[string]bool // for each stop so far, the names that its function calls
			starts := stopStart.FindAllStringSubmatchIndex(body, -1)
			for i, at := range starts {
				end := len(body)
				if i+1 < len(starts) {
					end = starts[i+1][0]
				}
				stop := body[at[0]:end]
				m := stopStart.FindStringSubmatch(stop)
				if w := wiredIn.FindStringSubmatch(stop); w != nil {
					calls, ok := callsOf(t, filepath.FromSlash(w[1]), w[2])
					if !ok {
						t.Errorf("%s has no function %s", w[1], w[2])
					}
					passed = append(passed, calls)
				}
				path := filepath.FromSlash(m[1])
				if rest, ok := strings.CutPrefix(m[1], "fosite/"); ok {
					path = filepath.Join(fosite, filepath.FromSlash(rest))
				}
				if filepath.Ext(path) == ".lua" {
					if _, err := os.Stat(path); err != nil {
						t.Error(err)
					}
					continue
				}
				calls, ok := callsOf(t, path, m[2])
				if !ok {
					t.Errorf("%s has no function %s", m[1], m[2])
					continue
				}
				name := m[2][strings.LastIndexByte(m[2], '.')+1:]
				if len(passed) > 0 && !called(passed, name) {
					t.Errorf("no earlier stop calls %s", m[2])
				}
				passed = append(passed, calls)
			}
			if len(passed) < 5 {
				t.Errorf("only %d stops", len(passed))
			}
		})
	}
}

func called(passed []map[string]bool, name string) bool {
	for _, calls := range passed {
		if calls[name] {
			return true
		}
	}
	return false
}

// callsOf returns the names that appear in the body of a function, given as Name or Type.Name.
func callsOf(t *testing.T, path, function string) (map[string]bool, bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || qualified(f) != function {
			continue
		}
		names := make(map[string]bool)
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				names[id.Name] = true
			}
			return true
		})
		return names, true
	}
	return nil, false
}

// qualified is Name for a function and Type.Name for a method.
func qualified(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	id, _ := receiver.(*ast.Ident)
	return id.Name + "." + f.Name.Name
}

func moduleDir(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestReadmeEmbeds holds the embedding of README.md against the example that runs.
func TestReadmeEmbeds(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(readme), "\n## Embed\n")
	_, block, _ = strings.Cut(block, "```go\n")
	block, _, ok := strings.Cut(block, "log.Fatal(http.ListenAndServe")
	if !found || !ok {
		t.Fatal("README.md has no embedding that ends in http.ListenAndServe")
	}
	if n := strings.Count(block, "\n") + 1; n > 15 {
		t.Errorf("the embedding takes %d lines, more than 15", n)
	}
	block = strings.ReplaceAll("\t"+strings.TrimSpace(block), `"127.0.0.1:6379"`, "fake.Addr()")
	if block = strings.ReplaceAll(block, "\n", "\n\t"); !strings.Contains(string(example), block) {
		t.Errorf("example_test.go does not contain the embedding of README.md:\n%s", block)
	}
}

// Every claim of SECURITY.md names tests. Each of them is a test of this repository.
func TestSecurityNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declaration.FindAllStringSubmatch(string(source), -1) {
			declared[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 50 {
		t.Errorf("SECURITY.md names %d tests", len(named))
	}
	for _, m := range named {
		if !declared[m[1]] {
			t.Errorf("SECURITY.md names %s, which is not a test", m[1])
		}
	}
	_, claims, _ := strings.Cut(string(text), "### What does not happen")
	claims, _, _ = strings.Cut(claims, "\nSixty mistakes")
	for _, claim := range strings.Split(claims, "\n- ")[1:] {
		if !strings.Contains(claim, "`Test") {
			t.Errorf("this claim names no test: %s", claim)
		}
	}
}
