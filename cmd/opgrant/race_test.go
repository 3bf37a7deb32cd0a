package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A hundred callers present one refresh token at once to three processes of the program on one Redis. Within a grace period all
// of them get the same pair; without one exactly one gets an answer. The token rotates once in either case.
func TestAHundredCallersOneTokenThreeProcesses(t *testing.T) {
	rounds := map[string]int{"short": 30, "full": 1000}[os.Getenv("OPGRANT_TEST_FAULTS")]
	if rounds == 0 {
		t.Skip("the time-outs of production need a machine that is not busy: set OPGRANT_TEST_FAULTS=short or full")
	}
	redis := "redis://" + storagetest.StartInstance(t).Addr
	initStore(t, redis)
	dir := t.TempDir()
	file := filepath.Join(dir, "opgrant.yaml")
	mustWrite(t, filepath.Join(dir, "password"), "wonderland")
	mustWrite(t, file, `log: {format: text}
issuer: http://race.example.com
compat: {disabled: true}
clients:
  - {id: grace, grants: [password, refresh_token], algorithm: ES256, grace: 60s}
  - {id: strict, grants: [password, refresh_token], algorithm: ES256, grace: 0s}
users:
  - {username: alice, password_file: `+filepath.Join(dir, "password")+`}
`)
	servers := []string{startProcess(t, redis, file), startProcess(t, redis, file), startProcess(t, redis, file)}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	for id, wanted := range map[string]int{"grace": 100, "strict": 1} {
		t.Run(id, func(t *testing.T) {
			for round := range rounds {
				status, login := tokenRequest(t, client, servers[0], url.Values{"grant_type": {"password"}, "client_id": {id}, "username": {"alice"}, "password": {"wonderland"}})
				if status != http.StatusOK {
					t.Fatalf("login: %d %v", status, login)
				}
				if good, pairs := race(t, client, servers, id, login["refresh_token"].(string)); good != wanted || len(pairs) != 1 {
					t.Fatalf("round %d: %d answers with %d pairs, want %d with 1", round, good, len(pairs), wanted)
				}
			}
			t.Logf("%d rounds of 100 callers", rounds)
		})
	}
}

func race(t *testing.T, client *http.Client, servers []string, id, token string) (good int, pairs map[string]bool) {
	t.Helper()
	pairs = map[string]bool{}
	var mutex sync.Mutex
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			status, answer := tokenRequest(t, client, servers[i%len(servers)], url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {token}})
			mutex.Lock()
			defer mutex.Unlock()
			switch {
			case status == http.StatusOK:
				good++
				pairs[fmt.Sprint(answer["access_token"], answer["refresh_token"])] = true
			case id == "strict" && status == http.StatusServiceUnavailable: // the first one is not decided yet
			case status != http.StatusBadRequest || answer["error"] != "invalid_grant":
				t.Errorf("%d %v", status, answer)
			}
		})
	}
	all.Wait()
	return good, pairs
}

func tokenRequest(t *testing.T, client *http.Client, server string, form url.Values) (int, map[string]any) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, answer
}

// startProcess starts the program as a process of its own, as the scripts do, and returns the URL of its public listener.
func startProcess(t *testing.T, redis, config string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "opgrant", "serve", "--redis", redis, "--config", config, "--listen", "127.0.0.1:0", "--admin-listen", "off")
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "http://" + awaitReady(t, bufio.NewReader(logs))
}
