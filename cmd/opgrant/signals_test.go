package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// ended returns how a process ends, within a minute.
func (p *process) ended(t *testing.T) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("it does not end:\n%s", p.logs.all())
		return nil
	}
}

func (p *process) send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *process) logged(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); p.logs.count(text) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not logged:\n%s", text, p.logs.all())
		}
	}
}

func readiness(t *testing.T, url string) (status int, closed bool) {
	t.Helper()
	response, err := (&http.Client{Timeout: 10 * time.Second}).Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, response.Close
}

// keysAreFollowed revokes the key that signs. A server that does not notice would go on with it.
func keysAreFollowed(t *testing.T, p *process, redis string) {
	t.Helper()
	revoked := signingKey(t, p)
	if _, err := command(t, redis, "key", "revoke", "--yes", revoked); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); signingKey(t, p) == revoked; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a server that drains does not follow the keys")
		}
	}
}

// signingKey is the ID of the key by which a login is signed.
func signingKey(t *testing.T, p *process) string {
	t.Helper()
	_, issued := p.post(t, "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(issued["operation_token"], ".")[0])
	var key struct{ Kid string }
	if err != nil || json.Unmarshal(header, &key) != nil || key.Kid == "" {
		t.Fatal("no token", issued, err)
	}
	return key.Kid
}

func TestSignals(t *testing.T) {
	redis := storagetest.StartRedis(t, storagetest.Options{})
	initStore(t, redis.URL())

	t.Run("SIGHUP", func(t *testing.T) {
		p := serveProcess(t, redis.URL(), "127.0.0.1:0", heldConfig, "OPGRANT_HTTP_DRAIN_DELAY=0s")
		p.send(t, syscall.SIGHUP)
		p.logged(t, "SIGHUP changes nothing")
		if status, _ := readiness(t, p.url); status != http.StatusOK {
			t.Errorf("then it is not ready: %d", status)
		}
		p.send(t, syscall.SIGTERM)
		if err := p.ended(t); err != nil {
			t.Error(err)
		}
		if n := p.logs.count("SIGHUP"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})

	t.Run("SIGTERM drains, a second one ends it", func(t *testing.T) {
		p := serveProcess(t, redis.URL(), "127.0.0.1:0", heldConfig, "OPGRANT_HTTP_DRAIN_DELAY=1h")
		p.send(t, syscall.SIGTERM)
		p.logged(t, "draining")
		if status, closed := readiness(t, p.url); status != http.StatusServiceUnavailable || !closed {
			t.Errorf("while it drains: %d, close %v", status, closed)
		}
		if status, _ := p.post(t, "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`); status != http.StatusOK {
			t.Errorf("a login while it drains: %d", status)
		}
		keysAreFollowed(t, p, redis.URL())
		p.send(t, syscall.SIGTERM)
		err := p.ended(t)
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // as Wait returns it
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
			t.Errorf("the second signal: %v", err)
		}
	})

	t.Run("SIGINT ends a development server at once", func(t *testing.T) {
		p := startDev(t)
		p.send(t, syscall.SIGINT)
		if err := p.ended(t); err != nil {
			t.Error(err)
		}
		if strings.Contains(p.logs.all(), "draining") {
			t.Errorf("it drains:\n%s", p.logs.all())
		}
	})
}
