package compat_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
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

// afterTheClient is a store that answers when the client has shut its side of the connection.
type afterTheClient struct {
	*directory
	shut <-chan struct{}
}

func (d afterTheClient) Password(ctx context.Context, c compat.Credentials) (compat.Caller, error) {
	<-d.shut
	if ctx.Err() != nil {
		return compat.Caller{}, ctx.Err()
	}
	return d.directory.Password(ctx, c)
}

// A client that shuts its side of the connection behind its request may wait for the answer.
func TestAHalfClosedRequestIsAnswered(t *testing.T) {
	d, shut := newDirectory(t), make(chan struct{})
	h := d.handler(t, func(c *compat.Config) { c.Authenticator = afterTheClient{d, shut} })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer context.AfterFunc(r.Context(), func() { close(shut) })()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	const body = `{"operation":"user_info","username":"HDB_ADMIN","password":"password"}`
	answer := exchange(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 70\r\n\r\n"+body)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.Contains(answer, `"username":"HDB_ADMIN"`) {
		t.Errorf("answer: %s", answer)
	}
}

// untilTheEnd is a store that does not answer before the request ends.
type untilTheEnd struct{ *directory }

func (untilTheEnd) Password(ctx context.Context, _ compat.Credentials) (compat.Caller, error) {
	<-ctx.Done()
	return compat.Caller{}, ctx.Err()
}

// A client that has gone costs a second more, is not refused anything, and is not an error of the server.
func TestWorkEndsSoonAfterTheClientHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		var log strings.Builder
		h := d.handler(t, func(c *compat.Config) {
			c.Authenticator, c.Log = untilTheEnd{d}, slog.New(slog.NewTextHandler(&log, nil))
		})
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, leave)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", adminBasic)
		w, start := httptest.NewRecorder(), time.Now()
		h.ServeHTTP(w, r)
		if took := time.Since(start); took != time.Minute+time.Second {
			t.Errorf("took %s", took)
		}
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || log.Len() > 0 {
			t.Errorf("%d %v, log: %s", w.Code, w.Header(), &log)
		}
	})
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
