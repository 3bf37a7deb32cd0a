package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// The scripts and tests can start opgrant, which is main of this package, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"opgrant": main})
}

// tests runs the tests of this process. The processes of the scripts do not come here.
type tests struct{ *testing.M }

func (m tests) Run() int { return storagetest.Main(m.M) }

// TestAlone runs the scripts that need no Redis.
func TestAlone(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Deadline: deadline(),
		Dir:      filepath.Join("testdata", "script", "alone"),
		Cmds:     scriptCommands(nil, nil),
		Setup:    func(env *testscript.Env) error { cheapPasswords(env); return nil },
	})
}

// TestOnRedis runs each script on a redis-server of its own that keeps what it acknowledged.
func TestOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a hundred processes")
	}
	runOnRedis(t, "redis")
}

// TestFaultsOnRedis runs the scripts that measure how long an answer takes.
func TestFaultsOnRedis(t *testing.T) {
	if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
		t.Skip("set OPGRANT_TEST_FAULTS to run it")
	}
	runOnRedis(t, "faults")
}

func runOnRedis(t *testing.T, folder string) {
	files, err := filepath.Glob(filepath.Join("testdata", "script", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			server := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways, Password: "private"})
			testscript.Run(t, testscript.Params{
				Files:    []string{file},
				Deadline: deadline(),
				Cmds:     scriptCommands(t, server),
				Setup: func(env *testscript.Env) error {
					initStore(t, server.URL())
					env.Setenv("OPGRANT_REDIS", server.URL())
					cheapPasswords(env)
					return nil
				},
			})
		})
	}
}

// initStore is `opgrant store init`, in this process.
func initStore(t *testing.T, redis string) {
	t.Helper()
	var messages strings.Builder
	if err := run(t.Context(), []string{"store", "init", "--redis", redis}, nil, strings.NewReader(""), io.Discard, &messages); err != nil {
		t.Fatalf("store init: %v\n%s", err, &messages)
	}
}

// cheapPasswords sets the lowest costs that are allowed, and no delay at the end: the scripts are not about them.
func cheapPasswords(env *testscript.Env) {
	env.Setenv("OPGRANT_HTTP_DRAIN_DELAY", "0s")
	env.Setenv("OPGRANT_PASSWORDS_MEMORY_KIB", strconv.Itoa(policy.MinPasswordMemoryKiB))
	env.Setenv("OPGRANT_PASSWORDS_ITERATIONS", "1")
}

// deadline ends a script whose server does not end when it should.
func deadline() time.Time { return time.Now().Add(5 * time.Minute) }

type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

func scriptCommands(t *testing.T, server *storagetest.Server) map[string]scriptCommand {
	var admin redis.UniversalClient // of "redis lock"
	return map[string]scriptCommand{
		"freeport":  freePorts,
		"request":   request,
		"await":     await,
		"harper":    startHarper,
		"remember":  remember,
		"terminate": terminate,
		"capture": func(ts *testscript.TestScript, _ bool, args []string) { // the line that was printed last: capture NAME
			ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
		},
		"save": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o600))
		},
		"sleep": func(ts *testscript.TestScript, _ bool, args []string) {
			d, err := time.ParseDuration(args[0])
			ts.Check(err)
			time.Sleep(d)
		},
		"redis": func(ts *testscript.TestScript, _ bool, args []string) {
			switch args[0] {
			case "kill":
				server.Kill()
			case "flush":
				ts.Check(server.Client(t).FlushAll(t.Context()).Err())
			case "dump": // every key to a file: redis dump FILE
				dumpRedis(ts, server.Client(t), args[1])
			case "lock": // a new password, which closes what the old one has opened
				admin = server.Client(t)
				ts.Check(admin.ConfigSet(t.Context(), "requirepass", "another").Err())
				ts.Check(admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
			case "unlock":
				ts.Check(admin.ConfigSet(t.Context(), "requirepass", "private").Err())
			case "forget":
				ts.Check(server.Client(t).Del(t.Context(), args[1]).Err())
			case "restart":
				server.Restart(t)
			case "freeze":
				server.Freeze(t)
			case "set":
				ts.Check(server.Client(t).ConfigSet(t.Context(), args[1], args[2]).Err())
			case "thaw":
				server.Thaw(t)
			default:
				ts.Fatalf("redis: %q", args)
			}
		},
	}
}

// freePorts sets each named variable to an address of 127.0.0.1 that nothing listens on: freeport A B
func freePorts(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, l.Addr().String())
		defer l.Close()
	}
}

// await sends requests until the answer has the status: await URL STATUS. "closed" waits until nothing listens.
func await(ts *testscript.TestScript, _ bool, args []string) {
	url, want := args[0], args[1]
	client := &http.Client{Timeout: 5 * time.Second}
	var last string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := client.Get(url)
		if err != nil {
			last = err.Error()
			if want == "closed" && strings.Contains(last, "refused") {
				return
			}
			continue
		}
		_ = response.Body.Close()
		if last = response.Status; strings.HasPrefix(last, want) {
			return
		}
	}
	ts.Fatalf("%s: %s, want %s", url, last, want)
}

// remember copies members of the JSON document that was printed last to variables: remember ACCESS=access_token
func remember(ts *testscript.TestScript, _ bool, pairs []string) {
	var document map[string]any
	output := ts.ReadFile("stdout")
	if err := json.Unmarshal([]byte(output), &document); err != nil {
		ts.Fatalf("%q: %v", output, err)
	}
	for _, pair := range pairs {
		variable, member, _ := strings.Cut(pair, "=")
		value, ok := document[member]
		if !ok {
			ts.Fatalf("no %s in %s", member, output)
		}
		ts.Setenv(variable, fmt.Sprint(value))
	}
}

// terminate sends SIGTERM to every process in the background; wait then tells how it ended.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			ts.Fatalf("terminate: %v", err)
		}
	}
}
