package compat_test

import (
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

func TestListenerAnswersWithoutWords(t *testing.T) {
	s := httptest.NewUnstartedServer(newDirectory(t).handler(t, nil))
	s.Listener = compat.Listener(s.Listener)
	s.Start()
	t.Cleanup(s.Close)
	const bad = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
	for name, test := range map[string]struct{ request, answer string }{
		"no Host header":            {"POST / HTTP/1.1\r\n\r\n", bad},
		"a length that is none":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", bad},
		"a header that is none":     {"GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", bad},
		"no HTTP":                   {"hello\r\n\r\n", bad},
		"headers beyond all limits": {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 2<<20), "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"},
		"HTTP":                      {"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HarperDB is running."},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(c, test.request) // refused before its end
			answer, _ := io.ReadAll(c)
			if got := string(answer); got != test.answer && (name != "HTTP" || !strings.HasSuffix(got, test.answer)) {
				t.Errorf("got %q", got)
			}
		})
	}
}
