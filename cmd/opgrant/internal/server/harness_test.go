package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func testLog(t *testing.T) (*slog.Logger, *strings.Builder) {
	t.Helper()
	var text strings.Builder
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})), &text
}

// started is the health of a server that is ready.
func started(log *slog.Logger) *health {
	h := &health{log: log, ready: func(context.Context) error { return nil }}
	done := make(chan struct{})
	close(done)
	h.started = done
	return h
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// startServer runs the server on a Redis of its own, with the users and clients of --dev, and returns its URL.
func startServer(t *testing.T, change func(*config.Config)) (url string, fake *storagetest.Instance) {
	t.Helper()
	fake = storagetest.StartMiniredis(t)
	cfg := config.Dev()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "off"
	cfg.Redis.URL = config.RedisURL(fake.Addr)
	cfg.Passwords.MemoryKiB, cfg.Passwords.Iterations = policy.MinPasswordMemoryKiB, 1
	if change != nil {
		change(cfg)
	}
	if err := fake.Client(t).Set(t.Context(), cfg.Redis.Prefix+"epoch", "made by the test", 0).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	logs, pipe := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, cfg, Options{Stdout: io.Discard, Stderr: pipe})
		_ = pipe.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	ready := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(logs); s.Scan(); {
			if _, issuer, ok := strings.Cut(s.Text(), " issuer="); ok && strings.Contains(s.Text(), "msg=ready") {
				ready <- issuer
			}
		}
		close(ready)
	}()
	if url = <-ready; url == "" {
		t.Fatal("the server ended before it was ready")
	}
	return url, fake
}

func basicAuth(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}
