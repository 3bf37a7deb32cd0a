package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
)

// TestRecordedExchanges replays the recorded exchanges against the program, with its default throttle and limits. Those that wait
// for tokens to expire run with OPGRANT_TEST_FAULTS.
func TestRecordedExchanges(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred passwords are hashed, which takes minutes under the race detector")
	}
	cases := wiretest.LoadFile(t, "../../compat/testdata/wire-cases.json")
	if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
		cases = slices.DeleteFunc(cases, func(c wiretest.Case) bool { return c.Sequence == expirySequence })
	}
	wiretest.Run(t, cases, wiretest.Server{Start: func(t *testing.T, short bool) string {
		access, refresh := "24h", "720h"
		if short {
			access, refresh = "3s", "5s"
		}
		return startLegacy(t, fmt.Sprintf("access_ttl: %s, refresh_ttl: %s, sessions_per_user: 1", access, refresh))
	}})
}

// expirySequence is the number of the exchanges that wait for tokens to expire.
const expirySequence = 5

// startLegacy starts the program with its state in memory and returns its address. client has more settings of the client of
// the operations API, in YAML.
func startLegacy(t *testing.T, client string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "opgrant.yaml")
	text := "passwords: {memory_kib: 8192, iterations: 1}\nclients:\n  - {id: operations, profile: legacy, grants: [password, refresh_token, " +
		`"urn:ietf:params:oauth:grant-type:token-exchange"], refresh: static, ` + client + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	logs, pipe := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--dev", "--config", file, "--listen", "127.0.0.1:0", "--admin-listen", "off"},
			[]string{"OPGRANT_PASSWORDS_MEMORY_KIB=8192", "OPGRANT_PASSWORDS_ITERATIONS=1"}, strings.NewReader(""), io.Discard, pipe)
		_ = pipe.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return awaitReady(t, logs)
}

// awaitReady returns the address of a program when its log says that it is ready.
func awaitReady(t *testing.T, logs io.Reader) string {
	t.Helper()
	ready := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(logs); s.Scan(); {
			if _, rest, ok := strings.Cut(s.Text(), " listen="); ok && strings.Contains(s.Text(), "msg=ready") {
				address, _, _ := strings.Cut(rest, " ")
				ready <- address
			}
		}
	}()
	select {
	case address := <-ready:
		return address
	case <-time.After(time.Minute):
		t.Fatal("the program did not get ready")
		return ""
	}
}
