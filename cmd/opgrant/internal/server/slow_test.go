package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// A client that sends its request letter by letter is disconnected, and others are served meanwhile.
func TestSlowSendersAreDisconnected(t *testing.T) {
	if d := config.Default().HTTP; d.ReadHeaderTimeout <= 0 || d.ReadHeaderTimeout > 10*time.Second || d.ReadTimeout <= 0 || d.ReadTimeout > 10*time.Second {
		t.Errorf("defaults %v and %v", d.ReadHeaderTimeout, d.ReadTimeout)
	}
	cfg := config.Default()
	cfg.Listen, cfg.AdminListen, cfg.HTTP.DrainDelay = "127.0.0.1:0", "off", 0
	cfg.HTTP.ReadHeaderTimeout, cfg.HTTP.ReadTimeout = 500*time.Millisecond, 500*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop) // after the parallel subtests
	l, err := listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := testLog(t)
	url := "http://" + l.public.Addr().String()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "too slow", http.StatusRequestTimeout)
		}
	})
	go func() { _ = l.serve(ctx, cfg.HTTP, handler, http.NotFoundHandler(), started(log), log) }()
	for name, start := range map[string]string{
		"header": "POST / HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", l.public.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			disconnected := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(disconnected)
			}()
			_, _ = io.WriteString(conn, start)
			hang := time.After(30 * time.Second)
			for letter := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-disconnected:
					return
				case <-hang:
					t.Fatal("not disconnected")
				case <-letter.C:
				}
				_, _ = io.WriteString(conn, "x")
				if response, _ := get(t, url); response.StatusCode != http.StatusOK {
					t.Errorf("another client gets %s", response.Status)
				}
			}
		})
	}
}
