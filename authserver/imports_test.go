package authserver_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importsOf returns the imports of the product files that a pattern matches, by file.
func importsOf(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	check(t, err)
	imports := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		check(t, err)
		for _, i := range source.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			check(t, err)
			imports[file] = append(imports[file], path)
		}
	}
	if len(imports) == 0 {
		t.Fatalf("no files match %s", pattern)
	}
	return imports
}

// A server without these imports cannot be made to open a file or run a command.
func TestTheServerOpensNoFiles(t *testing.T) {
	forbidden := []string{"os", "os/exec", "io/fs", "path/filepath", "net", "plugin", "syscall"}
	for _, pattern := range []string{"*.go", "keys/*.go", "policy/*.go", "seal/*.go"} {
		for file, imports := range importsOf(t, pattern) {
			for _, path := range imports {
				if slices.Contains(forbidden, path) {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}

// A resource server needs no part of the authorization server, and few dependencies.
func TestImportsOfPackageResource(t *testing.T) {
	allowed := []string{"github.com/go-jose/go-jose/v4", "github.com/golang-jwt/jwt/v5"}
	for file, imports := range importsOf(t, "resource/*.go") {
		for _, path := range imports {
			if strings.Contains(path, ".") && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
