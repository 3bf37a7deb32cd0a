package redisserver_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	_ "github.com/opgrant/opgrant/storage/throttle" // for its scripts
	_ "github.com/opgrant/opgrant/storage/usage"    // likewise
)

// site is a command of a script that can be made to fail: on one of the keys of the script, or on any.
type site struct {
	script  *redisdb.Script
	command string // in upper case
	key     int    // the number of the key, from 1; 0: any
	kind    string // of the key, for redisdb.Command, whose script is the same for all
}

func (s site) String() string {
	if s.kind != "" {
		return fmt.Sprintf("%s of %q", s.command, s.kind)
	}
	start := ""
	for line := range strings.Lines(s.script.Source()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "local clock") && !strings.HasPrefix(line, "local now") {
			start = line
			break
		}
	}
	return fmt.Sprintf("%s KEYS[%d] of the script %q", s.command, s.key, start)
}

// scriptSites are the commands of a script, as its source calls them.
func scriptSites(t *testing.T, script *redisdb.Script) []site {
	t.Helper()
	source := regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(script.Source(), "")
	if aliases := regexp.MustCompile(`redis\.p?call\s*[^(\s]`).FindAllString(source, -1); len(aliases) > 0 {
		t.Fatalf("this test cannot read a script that renames redis.call: %q", aliases)
	}
	calls := regexp.MustCompile(`redis\.p?call\(([^,)]+)(?:,\s*([^,)]+))?`).FindAllStringSubmatch(source, -1)
	var sites []site
	for _, call := range calls {
		names := regexp.MustCompile(`'([A-Z]+)'`).FindAllStringSubmatch(call[1], -1)
		if len(names) == 0 {
			t.Fatalf("this test cannot read the command of %s", call[0])
		}
		key := 0
		_, _ = fmt.Sscanf(call[2], "KEYS[%d]", &key)
		for _, name := range names {
			if s := (site{script: script, command: name[1], key: key}); !slices.Contains(sites, s) {
				sites = append(sites, s)
			}
		}
	}
	return sites
}

// allSites are the commands of all scripts.
func allSites(t *testing.T) []site {
	t.Helper()
	var sites []site
	for _, script := range redisdb.Scripts() {
		if isCommand(script) {
			sites = append(sites, commandSites(t, script)...)
			continue
		}
		sites = append(sites, scriptSites(t, script)...)
	}
	return sites
}

// isCommand tells whether a script is the one of redisdb.Command.
func isCommand(script *redisdb.Script) bool {
	return strings.Contains(script.Source(), "redis.call(ARGV[1]")
}

// commandSites are the calls of redisdb.Command, as the sources of package storage have them.
func commandSites(t *testing.T, script *redisdb.Script) []site {
	t.Helper()
	pattern := regexp.MustCompile(`redisdb\.Command\("([A-Z]+)", [a-z.]*Keys\.(\w+)\(`)
	kinds := map[string]string{"Clients": "clients", "Client": "c", "Users": "users", "HashKinds": "kinds", "SignaturePointer": "p", "Nonce": "nonce", "OpenID": "oidc", "Pushed": "par", "Challenge": "pkce"}
	var sites []site
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		calls := pattern.FindAllStringSubmatch(string(source), -1)
		if strings.Count(string(source), "redisdb.Command(") != len(calls) {
			t.Fatalf("%s: this test cannot read a call of redisdb.Command", path)
		}
		for _, call := range calls {
			kind, ok := kinds[call[2]]
			if !ok {
				t.Fatalf("%s: say here what Keys.%s begins with", path, call[2])
			}
			if s := (site{script: script, command: call[1], key: 1, kind: kind}); !slices.Contains(sites, s) {
				sites = append(sites, s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

// kindOf is the beginning of the name of a key that says what it is of.
func kindOf(key string) string {
	key = strings.TrimPrefix(key, keys.Prefix)
	if i := strings.IndexAny(key, ":{"); i > 0 {
		return key[:i]
	}
	return key
}
