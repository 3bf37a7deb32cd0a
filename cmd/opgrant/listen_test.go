package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/config"
)

func testLog(t *testing.T) (*slog.Logger, *strings.Builder) {
	t.Helper()
	var text strings.Builder
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})), &text
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

func TestPanicIsAnAnswerOf500(t *testing.T) {
	log, text := testLog(t)
	server := httptest.NewServer(observed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		panic("the reason")
	}), newMetrics(), log))
	defer server.Close()
	response, body := get(t, server.URL)
	if response.StatusCode != 500 || response.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(body, `{"error":"server_error"`) {
		t.Errorf("got %s %v %s", response.Status, response.Header, body)
	}
	if strings.Contains(body, "the reason") || !strings.Contains(text.String(), "the reason") {
		t.Errorf("the reason belongs into the log and nowhere else: %s", text)
	}
}

func TestPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	log, _ := testLog(t)
	server := httptest.NewServer(observed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		panic("too late")
	}), newMetrics(), log))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err == nil {
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
}

func TestReadiness(t *testing.T) {
	log, text := testLog(t)
	var broken atomic.Bool
	h := &health{log: log, ready: func(context.Context) error {
		if broken.Load() {
			return errors.New("connection refused")
		}
		return nil
	}}
	ask := func(handler http.HandlerFunc) *http.Response {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Result()
	}
	if got := ask(h.readiness); got.StatusCode != 503 {
		t.Errorf("before the start is done: %s", got.Status)
	}
	h.started.Store(true)
	if got := ask(h.readiness); got.StatusCode != 200 {
		t.Errorf("Redis answers: %s", got.Status)
	}
	broken.Store(true)
	for range 3 {
		if got := ask(h.readiness); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
			t.Errorf("Redis does not answer: %s %v", got.Status, got.Header)
		}
	}
	if got := ask(h.live); got.StatusCode != 200 {
		t.Errorf("the process is alive all the same: %s", got.Status)
	}
	if n := strings.Count(text.String(), "not ready"); n != 1 {
		t.Errorf("an outage is logged once, not %d times", n)
	}
	broken.Store(false)
	h.draining.Store(true)
	if got := ask(h.readiness); got.StatusCode != 503 {
		t.Errorf("draining: %s", got.Status)
	}
}

// A request that is open when the signal comes gets its answer, readiness turns, and the port closes.
func TestOpenRequestsFinish(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	l, err := openListeners(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h := &health{log: log, ready: func(context.Context) error { return nil }}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request's context ended with the server's")
		}
		_, _ = io.WriteString(w, "whole")
	})
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, handler, newMetrics(), h, log) }()

	answers := make(chan string, 1)
	go func() {
		_, body := get(t, "http://"+l.public.Addr().String())
		answers <- body
	}()
	<-entered
	stop()
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if body := <-answers; body != "whole" {
		t.Errorf("got %q", body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", l.public.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}

func TestStuckRequestsAreCutOff(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "off"
	cfg.HTTP.ShutdownTimeout = 50 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	l, err := openListeners(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, text := testLog(t)
	entered := make(chan struct{})
	h := &health{log: log}
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, handler, newMetrics(), h, log) }()
	conn, err := net.Dial("tcp", l.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server waits for ever")
	}
	if !strings.Contains(text.String(), "cut off") {
		t.Errorf("nothing logged: %s", text)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "off"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l, err := openListeners(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	go func() { _ = l.serve(ctx, cfg.HTTP, http.NotFoundHandler(), newMetrics(), &health{log: log}, log) }()
	conn, err := net.Dial("tcp", l.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 32<<10)+"\r\n\r\n")
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(status, "431") {
		t.Errorf("got %q, %v", status, err)
	}
}

func TestAdminListenerHasMetricsAndProfiles(t *testing.T) {
	m := newMetrics()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})
	defer rdb.Close()
	m.watchPool(rdb)
	m.request(httptest.NewRequest(http.MethodPost, "/oauth2/token", nil), 200, time.Millisecond)
	m.request(httptest.NewRequest("BREW", "/made/up/by/the/caller", nil), 404, time.Millisecond)
	server := httptest.NewServer(adminMux(m))
	defer server.Close()
	_, text := get(t, server.URL+"/metrics")
	for _, want := range []string{
		`opgrant_http_requests_total{method="POST",path="/oauth2/token",status="200"} 1`,
		`opgrant_http_requests_total{method="other",path="other",status="404"} 1`,
		`opgrant_redis_connections 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if response, _ := get(t, server.URL+"/debug/pprof/cmdline"); response.StatusCode != 200 {
		t.Errorf("/debug/pprof: %s", response.Status)
	}
}
