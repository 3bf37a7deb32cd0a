package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/config"
)

// drainable serves on a listener of its own until the test ends. stop is what SIGTERM does; the delay lasts as long as the test.
func drainable(t *testing.T, h *health, handler http.Handler, change func(*config.Config)) (l *listeners, stop func()) {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", time.Hour
	if change != nil {
		change(cfg)
	}
	ctx, stop := context.WithCancel(t.Context())
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, handler, http.NotFoundHandler(), h, h.log) }()
	t.Cleanup(func() {
		stop()
		_ = l.public.Close() // ends the delay
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return l, stop
}

// A server that was told to stop says so to proxies and still answers everybody, also on new connections. It ends each connection
// with an answer, also of a request that began before.
func TestDrainingStillAnswers(t *testing.T) {
	log, _ := testLog(t)
	h := started(log)
	entered, release := make(chan struct{}), make(chan struct{})
	handler := http.NewServeMux()
	handler.HandleFunc("/readyz", h.readiness)
	handler.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	})
	handler.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	l, stop := drainable(t, h, handler, nil)
	url := "http://" + l.public.Addr().String()
	if response, _ := get(t, url+"/readyz"); response.StatusCode != 200 || response.Close {
		t.Errorf("before: %s, close %v", response.Status, response.Close)
	}
	slow := make(chan *http.Response, 1)
	go func() {
		response, body := get(t, url+"/slow")
		if body != "whole" {
			t.Errorf("got %q", body)
		}
		slow <- response
	}()
	<-entered
	stop()
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if response := <-slow; response.StatusCode != 200 || !response.Close {
		t.Errorf("request from before: %s, close %v", response.Status, response.Close)
	}
	for path, want := range map[string]int{"/readyz": 503, "/empty": 200, "/other": 404} {
		if response, body := get(t, url+path); response.StatusCode != want || !response.Close || want == 503 && !strings.Contains(body, "draining") {
			t.Errorf("%s while draining: %s, close %v, %q", path, response.Status, response.Close, body)
		}
	}
}

// A proxy may use an idle connection until the end of the delay: closing it at once would fail its next request.
func TestDrainingKeepsIdleConnections(t *testing.T) {
	log, _ := testLog(t)
	h := started(log)
	l, stop := drainable(t, h, http.NotFoundHandler(), nil)
	conn, err := net.Dial("tcp", l.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	ask := func() string {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer[:n])
	}
	if answer := ask(); strings.Contains(answer, "Connection: close") {
		t.Fatalf("before: %s", answer)
	}
	stop()
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if answer := ask(); !strings.HasPrefix(answer, "HTTP/1.1 404") || !strings.Contains(answer, "Connection: close") {
		t.Errorf("while draining: %s", answer)
	}
}

// watchedListener notes when a connection was asked for before the server had started.
type watchedListener struct {
	net.Listener
	h     *health
	early atomic.Bool
}

func (l *watchedListener) Accept() (net.Conn, error) {
	if !l.h.hasStarted() {
		l.early.Store(true)
	}
	return l.Listener.Accept()
}

// Until the server has started, connections wait, so that nobody meets a server without keys.
func TestConnectionsWaitForTheStart(t *testing.T) {
	log, _ := testLog(t)
	ready := make(chan struct{})
	h := &health{log: log, started: ready}
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", 0
	ctx, stop := context.WithCancel(t.Context())
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	watched := &watchedListener{Listener: l.public, h: h}
	l.public = watched
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, http.NotFoundHandler(), http.NotFoundHandler(), h, log) }()
	defer func() {
		stop()
		<-done
	}()
	answered := make(chan int, 1)
	go func() {
		response, _ := get(t, "http://"+l.public.Addr().String())
		answered <- response.StatusCode
	}()
	time.Sleep(50 * time.Millisecond) // for a server that does not wait
	close(ready)
	if status := <-answered; status != http.StatusNotFound || watched.early.Load() {
		t.Errorf("%d, accepted before the start: %v", status, watched.early.Load())
	}
}

// A server that cannot start accepts after a while all the same, and answers that it is starting.
func TestTheWaitForTheStartEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{started: make(chan struct{})}
		begin := time.Now()
		h.awaitStart(t.Context(), startWait)
		if took := time.Since(begin); took != startWait || startWait >= 3*time.Second { // how long `opgrant healthcheck` waits
			t.Errorf("waited %s", took)
		}
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	if config.Default().HTTP.MaxConnections <= 0 {
		t.Error("no limit by default")
	}
	log, _ := testLog(t)
	l, _ := drainable(t, started(log), http.NotFoundHandler(), func(cfg *config.Config) { cfg.HTTP.MaxConnections = 1 })
	first, err := net.Dial("tcp", l.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := first.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	var closed atomic.Bool
	answered := make(chan bool, 1)
	go func() {
		get(t, "http://"+l.public.Addr().String())
		answered <- closed.Load()
	}()
	time.Sleep(50 * time.Millisecond) // for a server without the limit
	closed.Store(true)
	_ = first.Close()
	if !<-answered {
		t.Error("a second connection is served beside the only one that is allowed")
	}
}
