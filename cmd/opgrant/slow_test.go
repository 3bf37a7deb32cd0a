package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// Who sends a request letter by letter is cut off, and others are served all the while.
func TestSlowSendersAreCutOff(t *testing.T) {
	if d := config.Default().HTTP; d.ReadHeaderTimeout <= 0 || d.ReadHeaderTimeout > 10*time.Second || d.ReadTimeout <= 0 || d.ReadTimeout > 10*time.Second {
		t.Errorf("defaults %v and %v", d.ReadHeaderTimeout, d.ReadTimeout)
	}
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "off"
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.ReadTimeout = 200*time.Millisecond, 400*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l, err := openListeners(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "too slow", http.StatusRequestTimeout)
		}
	})
	go func() { _ = l.serve(ctx, cfg.HTTP, handler, newMetrics(), &health{log: log}, log) }()
	for name, start := range map[string]string{
		"header": "POST / HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", l.public.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			_, _ = io.Copy(io.Discard, conn)
			closed <- time.Since(began)
		}()
		_, _ = io.WriteString(conn, start)
		for range 20 {
			_, _ = io.WriteString(conn, "x")
			if response, _ := get(t, "http://"+l.public.Addr().String()+"/"); response.StatusCode != http.StatusOK {
				t.Errorf("%s: others get %d", name, response.StatusCode)
			}
			time.Sleep(50 * time.Millisecond)
		}
		select {
		case took := <-closed:
			if took > 900*time.Millisecond {
				t.Errorf("%s: cut off after %v", name, took)
			}
		case <-time.After(3 * time.Second):
			t.Errorf("%s: never cut off", name)
		}
		_ = conn.Close()
	}
}
