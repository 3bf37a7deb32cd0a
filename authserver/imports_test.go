package authserver_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A server without these imports cannot be made to open a file or run a command.
func TestTheServerOpensNoFiles(t *testing.T) {
	for _, pattern := range []string{"*.go", "keys/*.go"} {
		files, err := filepath.Glob(pattern)
		check(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			check(t, err)
			for _, i := range source.Imports {
				switch path, _ := strconv.Unquote(i.Path.Value); path {
				case "os", "os/exec", "io/fs", "path/filepath", "net", "plugin", "syscall":
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}
