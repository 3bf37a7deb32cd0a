package luacover

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// declaration is a variable that holds a script.
type declaration struct {
	name string
	doc  string
	path string // of the Go file
}

// checkDeclared fails if a script of the package in the working directory has no table or no documentation.
func checkDeclared(t *testing.T, tables []Script, except []string) {
	found, err := declared(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		if slices.Contains(except, d.name) {
			continue
		}
		i := slices.IndexFunc(tables, func(s Script) bool { return s.Name == d.name })
		if i < 0 {
			t.Errorf("%s: %s has no table", d.path, d.name)
			continue
		}
		doc := d.doc
		if parts := tables[i].Parts; len(parts) > 0 {
			raw, err := os.ReadFile(parts[len(parts)-1])
			if err != nil {
				t.Fatal(err)
			}
			doc = header(string(raw))
		}
		if m := undocumented(doc); len(m) > 0 {
			t.Errorf("%s: the documentation of %s has no line for %s", d.path, d.name, strings.Join(m, ", "))
		}
	}
}

// documented are the lines that tell how to call a script: what the numbered keys and arguments are, what it replies, and what a
// second run does, after the reply of the first was lost.
var documented = []string{"KEYS", "ARGV", "reply", "twice"}

// undocumented returns what the documentation of a script does not tell.
func undocumented(doc string) []string {
	var missing []string
	for _, label := range documented {
		if !strings.Contains("\n"+doc, "\n"+label+" ") {
			missing = append(missing, label)
		}
	}
	return missing
}

// header returns the comment at the top of a Lua file.
func header(source string) string {
	var doc strings.Builder
	for line := range strings.Lines(source) {
		comment, ok := strings.CutPrefix(line, "--")
		if !ok {
			break
		}
		doc.WriteString(strings.TrimPrefix(comment, " "))
	}
	return doc.String()
}

// declared returns the scripts that the Go files of a directory declare, those of tests apart. A script that is not a variable of its
// package is an error.
func declared(dir string) ([]declaration, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files := make(map[string]*ast.File)
	makers := map[string]bool{"NewScript": true}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments); err != nil {
			return nil, err
		}
		for _, d := range files[path].Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && makesScript(f) {
				makers[f.Name.Name] = true
			}
		}
	}
	var found []declaration
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(files)) {
		in := declaredIn(files[path], path, makers)
		if calls := countCalls(files[path], makers); calls != len(in) {
			errs = append(errs, fmt.Errorf("luacover: %s: a script is not a variable of the package", path))
		}
		found = append(found, in...)
	}
	return found, errors.Join(errs...)
}

// makesScript tells whether a function does nothing but return a script that it makes of its arguments.
func makesScript(f *ast.FuncDecl) bool {
	if f.Body == nil || len(f.Body.List) != 1 {
		return false
	}
	result, ok := f.Body.List[0].(*ast.ReturnStmt)
	return ok && len(result.Results) == 1 && isCall(result.Results[0], map[string]bool{"NewScript": true})
}

func declaredIn(file *ast.File, path string, makers map[string]bool) (found []declaration) {
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			for i, value := range spec.Values {
				if isCall(value, makers) {
					doc := group.Doc.Text() + spec.Doc.Text()
					found = append(found, declaration{spec.Names[i].Name, unindent(doc), path})
				}
			}
		}
	}
	return found
}

// unindent removes the indentation of the lines that tell how to call a script.
func unindent(doc string) string {
	var text strings.Builder
	for line := range strings.Lines(doc) {
		text.WriteString(strings.TrimPrefix(line, "\t"))
	}
	return text.String()
}

// countCalls counts the calls that make a script, but not those in functions that do nothing else.
func countCalls(file *ast.File, makers map[string]bool) (calls int) {
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && makers[f.Name.Name] {
			return false
		}
		if isCall(n, makers) {
			calls++
		}
		return true
	})
	return calls
}

// isCall tells whether a node calls one of the functions of the package, or NewScript of package redisdb.
func isCall(n ast.Node, functions map[string]bool) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return functions[f.Name]
	case *ast.SelectorExpr:
		from, ok := f.X.(*ast.Ident)
		return ok && from.Name == "redisdb" && f.Sel.Name == "NewScript"
	}
	return false
}
