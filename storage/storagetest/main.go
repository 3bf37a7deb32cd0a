package storagetest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"

	"github.com/redis/go-redis/v9"
)

// Main runs the tests of a package that uses Redis. Call it from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(storagetest.Main(m)) }
//
// It prints one line that says which Redis the tests use, which go test shows with -v and when a test fails. It turns off the
// log of go-redis, which reports every connection that a test breaks. And tests then share redis-server processes one after
// the other, which Main stops at the end. With RequireEnv set, a missing redis-server is a failure before any test runs.
func Main(m interface{ Run() int }) int {
	redis.SetLogger(discard{})
	line, ok := inUse()
	fmt.Fprintln(os.Stdout, line)
	if !ok {
		return 1
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		doNotCache()
	}
	debug.SetGCPercent(400) // test processes are small: this saves a fifth of their time
	shared.open()
	defer shared.close()
	return m.Run()
}

// doNotCache keeps go test from caching the result: it would not notice that redis-server was installed meanwhile. Without
// this file go test does not know what the tests depend on.
func doNotCache() {
	if f := flag.Lookup("test.testlogfile"); f != nil {
		if !flag.Parsed() {
			flag.Parse()
		}
		_ = f.Value.Set("")
	}
}

// inUse says which Redis the tests use, and whether that is enough.
func inUse() (line string, ok bool) {
	path, err := exec.LookPath("redis-server")
	switch {
	case err != nil && required():
		return fmt.Sprintf("redis: %s=1, but there is no redis-server in PATH", RequireEnv), false
	case err != nil:
		return "redis: miniredis only (no redis-server in PATH)", true
	}
	return fmt.Sprintf("redis: redis-server %s (%s)", versionOf(path), path), true
}

var versionPattern = regexp.MustCompile(`\bv=(\S+)`)

func versionOf(path string) string {
	out, err := exec.Command(path, "--version").Output()
	if m := versionPattern.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return fmt.Sprintf("of unknown version (%v)", err)
}

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}
