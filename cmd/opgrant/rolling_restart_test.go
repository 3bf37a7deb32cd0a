package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// proxyConfig is that of HAProxy. It keeps connections to the servers, asks /readyz, and repeats nothing, so that no failure is
// hidden from the clients.
const proxyConfig = `
global
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 1s
  retries 0
  no option redispatch
frontend public
  bind %s
  default_backend opgrant
backend opgrant
  balance roundrobin
  http-reuse always
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 250ms fall 1 rise 1
  server one %s
  server two %s
listen stats
  bind %s
  stats enable
  stats uri /
`

const rollingConfig = `
issuer: http://auth.example
log: {format: text}
passwords: {memory_kib: 8192, iterations: 1}
throttle: {disabled: true}
clients:
  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token]}
  - {id: web, secret: web-secret-long, grants: [password, refresh_token], introspect: true}
users:
  - {username: alice, password: wonder land}
`

// Two servers behind a proxy are restarted in turn, under load by clients that keep their connections: no request fails.
func TestRollingRestartsFailNoRequest(t *testing.T) {
	mode := os.Getenv("OPGRANT_TEST_FAULTS")
	if mode == "" {
		t.Skip("set OPGRANT_TEST_FAULTS to run it")
	}
	if _, err := exec.LookPath("haproxy"); err != nil {
		if os.Getenv(storagetest.RequireEnv) != "" {
			t.Fatal(err)
		}
		t.Skip("haproxy is not installed")
	}
	restarts, delay := 4, "2s"
	if mode == "full" {
		restarts, delay = 20, "5s" // the default
	}
	requests, failures := rollingRestarts(t, restarts, delay)
	t.Logf("%d restarts, drain_delay %s: %d requests, %d failed", restarts, delay, requests, len(failures))
	if requests < 100 {
		t.Error("too few to be a load")
	}
	for _, failure := range failures[:min(len(failures), 10)] {
		t.Error(failure)
	}
	if mode == "full" { // what the delay is for
		requests, failures := rollingRestarts(t, restarts, "0s")
		t.Logf("%d restarts, drain_delay 0s: %d requests, %d failed", restarts, requests, len(failures))
	}
}

func rollingRestarts(t *testing.T, restarts int, delay string) (requests int, failures []string) {
	redis := storagetest.StartRedis(t, storagetest.Options{})
	initStore(t, redis.URL())
	addresses := freeAddresses(t, 4)
	servers := addresses[:2]
	start := func(i int) *process {
		return serveProcess(t, redis.URL(), servers[i], rollingConfig, "OPGRANT_HTTP_DRAIN_DELAY="+delay)
	}
	running := []*process{start(0), start(1)}
	proxy, stats := "http://"+addresses[2], "http://"+addresses[3]
	startProxy(t, fmt.Sprintf(proxyConfig, addresses[2], servers[0], servers[1], addresses[3]))
	bothUp(t, stats)

	stop := make(chan struct{})
	var mu sync.Mutex
	report := func(failure string) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		if failure != "" {
			failures = append(failures, failure)
		}
	}
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() { keepCalling(proxy, stop, report) })
	}
	for i := range restarts {
		p := running[i%2]
		p.send(t, syscall.SIGTERM)
		if err := p.ended(t); err != nil {
			t.Errorf("restart %d: %v", i, err)
		}
		running[i%2] = start(i % 2)
		bothUp(t, stats)
	}
	close(stop)
	clients.Wait()
	return requests, failures
}

// keepCalling logs in, refreshes and introspects on connections that are kept, until stop is closed.
func keepCalling(proxy string, stop <-chan struct{}, report func(failure string)) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	call := func(path, kind, bearer, body string) map[string]any {
		req, err := http.NewRequest(http.MethodPost, proxy+path, strings.NewReader(body))
		if err != nil {
			report(err.Error())
			return nil
		}
		req.GetBody = nil // or the client would repeat what fails
		req.Header.Set("Content-Type", kind)
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		response, err := client.Do(req)
		if err != nil {
			report(path + ": " + err.Error())
			return nil
		}
		defer func() { _ = response.Body.Close() }()
		raw, err := io.ReadAll(response.Body)
		var answer map[string]any
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(raw, &answer) != nil {
			report(fmt.Sprintf("%s: %s %v", path, response.Status, err))
			return nil
		}
		report("")
		return answer
	}
	for {
		login := call("/", "application/json", "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`)
		for range 5 {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			if refresh, ok := login["refresh_token"].(string); ok {
				call("/", "application/json", refresh, `{"operation":"refresh_operation_token"}`)
			}
			if access, ok := login["operation_token"].(string); ok {
				call("/oauth2/introspect", "application/x-www-form-urlencoded", "", "client_id=web&client_secret=web-secret-long&token="+access)
			}
		}
	}
}

// startProxy runs HAProxy until the test ends.
func startProxy(t *testing.T, configuration string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	mustWrite(t, file, configuration)
	cmd := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", file)
	var messages logLines
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(messages.all())
		}
	})
}

// bothUp waits until the proxy sends requests to both servers.
func bothUp(t *testing.T, stats string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	var last string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := client.Get(stats + "/;csv")
		if err != nil {
			last = err.Error()
			continue
		}
		raw, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		up := 0
		for line := range strings.Lines(string(raw)) {
			if (strings.HasPrefix(line, "opgrant,one,") || strings.HasPrefix(line, "opgrant,two,")) && strings.Contains(line, ",UP,") {
				up++
			}
		}
		if last = string(raw); up == 2 {
			return
		}
	}
	t.Fatalf("the proxy does not see both servers: %s", last)
}

// freeAddresses are addresses of 127.0.0.1 that nothing listens on.
func freeAddresses(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		list = append(list, l.Addr().String())
	}
	return list
}
