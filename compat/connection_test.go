package compat_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// exchange sends a request as it is, shuts the sending side and returns everything that comes back.
func exchange(t *testing.T, s *httptest.Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// A body that is shorter than its length, or whose chunks break off, is answered by the HTTP parser of the recorded server: a
// status and nothing else.
func TestBodiesThatBreakOff(t *testing.T) {
	s := httptest.NewServer(newDirectory(t).handler(t, nil))
	t.Cleanup(s.Close)
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, rest := range map[string]string{
		"no body":        "Content-Length: 100\r\n\r\n",
		"a part":         "Content-Length: 100\r\n\r\n{\"operation\":",
		"chunks":         "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a",
		"a chunk's size": "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
		"valid header":   "Authorization: " + adminBasic + "\r\nContent-Length: 100\r\n\r\n{",
	} {
		head, body, _ := strings.Cut(exchange(t, s, head+rest), "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 400 ") || body != "" || !strings.Contains(head, "Connection: close") ||
			strings.Contains(head, "\nContent-Type:") || strings.Contains(head, "Server:") {
			t.Errorf("%s: %s\n%s", name, head, body)
		}
	}
	if answer := exchange(t, s, head+"Authorization: Basic YTpi\r\nContent-Length: 100\r\n\r\n{"); !strings.HasPrefix(answer, "HTTP/1.1 401 ") {
		t.Errorf("with a header that is refused: %s", answer)
	}
}

// slowBody does not arrive before the deadline of the server.
type slowBody struct{}

func (slowBody) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestABodyThatDoesNotArriveInTime(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", slowBody{})
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	newDirectory(t).handler(t, nil).ServeHTTP(w, r)
	if w.Code != http.StatusRequestTimeout || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// untilGone is a store that answers when the client has gone.
type untilGone struct{ *directory }

func (d untilGone) Password(ctx context.Context, _ compat.Credentials) (compat.Caller, error) {
	select {
	case <-ctx.Done():
		return compat.Caller{}, ctx.Err()
	case <-time.After(time.Minute):
		return compat.Caller{}, errors.New("the request goes on")
	}
}

// Whose client shuts its side of the connection cannot be told from one whose client has gone. Its work ends, and no refusal tells
// the client to discard anything.
func TestAHalfClosedRequestIsUnavailable(t *testing.T) {
	d := newDirectory(t)
	var log strings.Builder
	s := httptest.NewServer(d.handler(t, func(c *compat.Config) {
		c.Authenticator, c.Log = untilGone{d}, slog.New(slog.NewTextHandler(&log, nil))
	}))
	const body = `{"operation":"user_info","username":"HDB_ADMIN","password":"password"}`
	answer := exchange(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 70\r\n\r\n"+body)
	s.Close()
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After: ") {
		t.Errorf("answer: %s", answer)
	}
	if log.Len() > 0 {
		t.Errorf("an error was logged: %s", &log)
	}
}

// Paths that lead above the root are refused as by a server of files, which the recorded one is for GET and HEAD.
func TestPathsAboveTheRoot(t *testing.T) {
	s := httptest.NewServer(newDirectory(t).handler(t, nil))
	t.Cleanup(s.Close)
	for path, forbidden := range map[string]bool{
		"/../etc/passwd": true, "/..": true, "/a/../../b": true, "/%2e%2e/b": true, "/..%2fb": true, `/..\b`: true, "//../x": true,
		"/health/../../x": true,
		"/a/../b":         false, "/%252e%252e/b": false, "/a..b": false, "/.../b": false, "/?a=/../b": false, "/..a": false, "/health/..": false,
	} {
		want, wantBody := "HTTP/1.1 404 ", "Not found\n"
		if forbidden {
			want, wantBody = "HTTP/1.1 403 ", `{"error":"Forbidden"}`
		}
		head, body, _ := strings.Cut(exchange(t, s, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "\r\n\r\n")
		if !strings.HasPrefix(head, want) || body != wantBody {
			t.Errorf("GET %s: %s\n%s", path, head, body)
		}
		if answer := exchange(t, s, "POST "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); forbidden && !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
			t.Errorf("POST %s: %s", path, answer)
		}
	}
	if answer := exchange(t, s, "GET /../x HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 401 ") {
		t.Errorf("with a header that is refused: %s", answer)
	}
}
