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

// A client that sends its request byte by byte is cut off, and others are served at the same time.
func TestSlowSendersAreCutOff(t *testing.T) {
	t.Parallel()
	if d := config.Default().HTTP; d.ReadHeaderTimeout <= 0 || d.ReadHeaderTimeout > 10*time.Second || d.ReadTimeout <= 0 || d.ReadTimeout > 10*time.Second {
		t.Errorf("defaults %v and %v", d.ReadHeaderTimeout, d.ReadTimeout)
	}
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "off"
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.ReadTimeout = time.Second, time.Second
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
	address := l.public.Addr().String()
	for name, start := range map[string]string{
		"header": "POST / HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, conn)
			close(closed)
		}()
		_, _ = io.WriteString(conn, start)
		hang := time.After(30 * time.Second)
		for cut := false; !cut; {
			_, _ = io.WriteString(conn, "x")
			if response, _ := get(t, "http://"+address+"/"); response.StatusCode != http.StatusOK {
				t.Errorf("%s: others get %d", name, response.StatusCode)
			}
			select {
			case <-closed:
				cut = true
			case <-hang:
				t.Fatalf("%s: not cut off", name)
			case <-time.After(20 * time.Millisecond):
			}
		}
		_ = conn.Close()
	}
}
