package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A fleet arrives at once: every right password is answered 200, whether its user was imported or is known to the old server
// alone, and whichever way the login takes. The server is a process of its own with the default settings, on a real Redis.
func TestABurstOfLoginsIsAnswered(t *testing.T) {
	sizes := map[string][]int{"short": {40, 200}, "full": {40, 200, 500}}[os.Getenv("OPGRANT_TEST_FAULTS")]
	if sizes == nil {
		t.Skip("hashes thousands of passwords: set OPGRANT_TEST_FAULTS=short or full")
	}
	old := startFleetServer(t)
	var rows []burst
	for _, known := range []string{"imported", "old server alone"} {
		for _, way := range []string{"create", "Basic", "TOKEN"} {
			for _, n := range sizes {
				rows = append(rows, burst{known, way, 1, n}, burst{known, way, n, n})
			}
		}
	}
	for _, b := range rows {
		if b.known == "imported" {
			b.addUsers(old.OldServer)
		}
	}
	redis := storagetest.StartRedis(t, storagetest.Options{}).URL()
	initStore(t, redis)
	importFrom(t, redis, old)
	for _, b := range rows {
		if b.known != "imported" {
			b.addUsers(old.OldServer)
		}
	}
	file := filepath.Join(t.TempDir(), "opgrant.yaml")
	mustWrite(t, file, burstConfig+"compat: {upstream: "+old.url+"}\n")
	server := startProcess(t, redis, file)

	var table strings.Builder
	fmt.Fprintf(&table, "%-17s %-7s %9s %7s  %-12s %s\n", "users", "way", "accounts", "logins", "answers", "slowest")
	for _, b := range rows {
		answers, slowest := b.run(t, server)
		fmt.Fprintf(&table, "%-17s %-7s %9d %7d  %-12s %v\n", b.known, b.way, b.accounts, b.logins, describe(answers), slowest.Round(time.Millisecond))
		if answers[http.StatusOK] != b.logins {
			t.Errorf("%+v: %s", b, describe(answers))
		}
	}
	t.Log("\n" + table.String())
}

const burstConfig = `
log: {format: text}
issuer: http://auth.example
clients:
  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token]}
  - {id: web, secret: web-secret-long, grants: [password, refresh_token]}
`

// burst is a number of logins at once.
type burst struct {
	known            string // where its users are
	way              string
	accounts, logins int
}

func (b burst) user(i int) string {
	return strings.ReplaceAll(fmt.Sprintf("%s-%s-%d-%d-%04d", b.known, b.way, b.logins, b.accounts, i%b.accounts), " ", "-")
}

func (b burst) addUsers(old *wiretest.OldServer) {
	for i := range b.accounts {
		old.PutUser(wiretest.OldUser{Name: b.user(i), Password: "password of " + b.user(i), Role: "reader", Active: true})
	}
}

// run makes all logins at once, each on a connection of its own, and returns the number of each answer.
func (b burst) run(t *testing.T, server string) (answers map[int]int, slowest time.Duration) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	var (
		start   = make(chan struct{})
		mu      sync.Mutex
		waiting sync.WaitGroup
	)
	answers = map[int]int{}
	for i := range b.logins {
		req := loginRequest(t, b.way, server, b.user(i), "password of "+b.user(i))
		waiting.Go(func() {
			<-start
			began := time.Now()
			status := 0
			if resp, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				status = resp.StatusCode
			}
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
			slowest = max(slowest, took)
		})
	}
	close(start)
	waiting.Wait()
	return answers, slowest
}

// loginRequest is a login by one of the three ways.
func loginRequest(t *testing.T, way, server, name, password string) *http.Request {
	t.Helper()
	path, kind, body := "/", "application/json", `{"operation":"user_info"}`
	switch way {
	case "create":
		raw, err := json.Marshal(map[string]string{"operation": "create_authentication_tokens", "username": name, "password": password})
		if err != nil {
			t.Fatal(err)
		}
		body = string(raw)
	case "TOKEN":
		path, kind = "/oauth2/token", "application/x-www-form-urlencoded"
		body = url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}.Encode()
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, server+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	switch way {
	case "Basic":
		req.SetBasicAuth(name, password)
	case "TOKEN":
		req.SetBasicAuth("web", "web-secret-long")
	}
	return req
}

// describe lists the number of each status; 0 stands for no answer.
func describe(answers map[int]int) string {
	var list []string
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		list = append(list, fmt.Sprintf("%d×%d", answers[status], status))
	}
	return strings.Join(list, " ")
}

// fleetServer is a running server to move away from.
type fleetServer struct {
	*wiretest.OldServer
	url string
}

// startFleetServer starts one with the role reader.
func startFleetServer(t *testing.T) fleetServer {
	t.Helper()
	cases := wiretest.LoadFile(t, "../../compat/testdata/wire-cases.json")
	old, err := wiretest.NewOldServer(cases)
	if err != nil {
		t.Fatal(err)
	}
	old.PutRole(wiretest.OldRole{ID: "reader", Permission: `{"super_user":false}`})
	server := httptest.NewServer(old)
	t.Cleanup(server.Close)
	return fleetServer{old, server.URL}
}

// importFrom imports roles and users.
func importFrom(t *testing.T, redis string, old fleetServer) {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	mustWrite(t, password, "password")
	if _, err := command(t, redis, "import", "harper", "--from", old.url, "--user", "HDB_ADMIN", "--password-file", password); err != nil {
		t.Fatal(err)
	}
}
