package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// On shutdown an open request gets its answer, readiness fails, and the port closes.
func TestOpenRequestsFinish(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "127.0.0.1:0", 0
	ctx, stop := context.WithCancel(t.Context())
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	entered, release := make(chan struct{}), make(chan struct{})
	h := started(log)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request's context ended with the server's")
		}
		_, _ = io.WriteString(w, "whole")
	})
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, handler, http.NotFoundHandler(), h, log) }()

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

func TestStuckRequestsAreAborted(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", 0
	cfg.HTTP.ShutdownTimeout = 50 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, text := testLog(t)
	entered := make(chan struct{})
	h := started(log)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx, cfg.HTTP, handler, http.NotFoundHandler(), h, log) }()
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
	if !strings.Contains(text.String(), "aborted") {
		t.Errorf("nothing logged: %s", text)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", 0
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	go func() {
		_ = l.serve(ctx, cfg.HTTP, http.NotFoundHandler(), http.NotFoundHandler(), started(log), log)
	}()
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
