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

// site is a command of a script, as its source calls it.
type site struct {
	script        *redisdb.Script
	number        int    // in the source, from 1
	command, kind string // of redisdb.Command, whose script is the same for all, and of its key
}

func (s site) String() string {
	if s.kind != "" {
		return fmt.Sprintf("%s of %q", s.command, s.kind)
	}
	line, _ := s.text()
	return fmt.Sprintf("%q of %s", line, nameOf(s.script))
}

// text returns the line of the site, and of the call the command and its key.
func (s site) text() (line, call string) {
	source := withoutComments(s.script)
	at := callSites.FindAllStringIndex(source, s.number)[s.number-1][0]
	begin := strings.LastIndex(source[:at], "\n") + 1
	line, _, _ = strings.Cut(source[begin:], "\n")
	return strings.TrimSpace(line), regexp.MustCompile(`^[^,)]+(,[^,)]+)?`).FindString(source[at:])
}

// missing are the sites that have not failed, where no other call of the script with that command and key has. A line that the
// scripts of sessions share need fail in one of them, but every line must.
func missing(sites []site, failed map[site]bool) []site {
	type call struct {
		script *redisdb.Script
		text   string
	}
	calls, lines := make(map[call]bool), make(map[string]bool)
	for f := range failed {
		if f.kind == "" {
			line, text := f.text()
			calls[call{f.script, text}], lines[line] = true, true
		}
	}
	return slices.DeleteFunc(slices.Clone(sites), func(s site) bool {
		if failed[s] || s.kind != "" {
			return failed[s]
		}
		line, text := s.text()
		if strings.Contains(s.script.Source(), "-- The session record, and what all scripts of sessions share.") {
			return lines[line]
		}
		return calls[call{s.script, text}]
	})
}

// nameOf is the file that a script ends with, or its first line of code.
func nameOf(script *redisdb.Script) string {
	files, _ := filepath.Glob("../*.lua")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.HasSuffix(script.Source(), string(text)) {
			return filepath.Base(file)
		}
	}
	for line := range strings.Lines(withoutComments(script)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "local entry") && !strings.HasPrefix(line, "local clock") && !strings.HasPrefix(line, "local now") {
			return fmt.Sprintf("the script %q", line)
		}
	}
	return "a script"
}

var comments = regexp.MustCompile(`(?m)--.*$`)

func withoutComments(script *redisdb.Script) string {
	return comments.ReplaceAllString(script.Source(), "")
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
		source := withoutComments(script)
		if other := regexp.MustCompile(`redis\.p?call\s*[^(\s]`).FindAllString(source, -1); len(other) > 0 {
			t.Fatalf("this test cannot read a script that renames redis.call: %q", other)
		}
		for i := range callSites.FindAllString(source, -1) {
			sites = append(sites, site{script: script, number: i + 1})
		}
	}
	return sites
}

// targets are the scripts to make fail, and for redisdb.Command its uses.
func targets(sites []site) []target {
	var list []target
	for _, s := range sites {
		if t := (target{script: s.script, command: s.command, kind: s.kind}); !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

func (t target) site(f failure) site {
	return site{script: t.script, number: f.site, command: t.command, kind: t.kind}
}

// isCommand tells whether a script is the one of redisdb.Command.
func isCommand(script *redisdb.Script) bool {
	return strings.Contains(script.Source(), "redis.call(ARGV[1]")
}

// isPointer tells whether a script is the one that writes pointers.
func isPointer(script *redisdb.Script) bool {
	return strings.Contains(script.Source(), "redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)")
}

// commandSites are the calls of redisdb.Command, as the sources of package storage have them.
func commandSites(t *testing.T, script *redisdb.Script) []site {
	t.Helper()
	patterns := map[*regexp.Regexp]string{ // :: call → command, unless the call names it
		regexp.MustCompile(`redisdb\.Command\("([A-Z]+)", [a-z.]*Keys\.(\w+)\(`):  "",
		regexp.MustCompile(`()t\.putRequest\(ctx, "[^"]*", t\.db\.Keys\.(\w+)\(`): "SET",
	}
	kinds := map[string]string{"Clients": "clients", "Client": "c", "Users": "users", "HashKinds": "kinds", "SignaturePointer": "p", "Nonce": "nonce", "OpenID": "oidc", "Pushed": "par", "Challenge": "pkce"}
	var sites []site
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		source := strings.Replace(string(raw), `redisdb.Command("SET", key, record.encode()`, "", 1) // of putRequest
		read := 0
		for pattern, command := range patterns {
			for _, call := range pattern.FindAllStringSubmatch(source, -1) {
				kind, ok := kinds[call[2]]
				if !ok {
					t.Fatalf("%s: say here what Keys.%s begins with", path, call[2])
				}
				read++
				if s := (site{script: script, number: 1, command: command + call[1], kind: kind}); !slices.Contains(sites, s) {
					sites = append(sites, s)
				}
			}
		}
		if strings.Count(source, "redisdb.Command(")+strings.Count(source, "t.putRequest(") != read {
			t.Fatalf("%s: this test cannot read a call of redisdb.Command", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

// kindOf is the beginning of the name of a key that says what it is of. That of a session of the version before has a colon.
func kindOf(key string) string {
	key = strings.TrimPrefix(key, keys.Prefix)
	if i := strings.IndexAny(key, ":{"); i > 0 {
		if i == 1 && strings.HasPrefix(key[1:], ":{") && strings.Contains("sie", key[:1]) {
			i++
		}
		return key[:i]
	}
	return key
}
