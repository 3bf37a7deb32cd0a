package compat_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// startForwarding serves a handler with an upstream on a real connection, with the server's own deadlines as short as the bounds.
func startForwarding(t *testing.T, u *fakeUpstream, change func(*compat.Upstream)) *httptest.Server {
	t.Helper()
	_, h := withUpstream(t, u, func(c *compat.Config) {
		c.MaxBody = 64
		change(c.Upstream)
	})
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// startBody sends the header and the beginning of a large body, and returns the connection. The rest is up to the test.
func startBody(t *testing.T, s *httptest.Server, length int) net.Conn {
	t.Helper()
	return startRequest(t, s, `{"operation":"insert","records":["`+strings.Repeat("a", 100), length)
}

func startRequest(t *testing.T, s *httptest.Server, beginning string, length int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a hang is a failure
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: "+adminBasic+
		"\r\nContent-Length: "+strconv.Itoa(length)+"\r\n\r\n"+beginning)
	return conn
}

func finalStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestForwardedBodiesHaveToMove: a client that stops, or that sends letter by letter, does not hold a request.
func TestForwardedBodiesHaveToMove(t *testing.T) {
	for name, every := range map[string]time.Duration{"stops": 0, "sends letter by letter": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := startForwarding(t, &fakeUpstream{}, func(u *compat.Upstream) { u.IdleTimeout = time.Second })
			conn := startBody(t, s, 10<<20)
			if every > 0 {
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for tick := time.NewTicker(every); ; {
						select {
						case <-stop:
							return
						case <-tick.C:
							_, _ = io.WriteString(conn, "a")
						}
					}
				}()
			}
			if status := finalStatus(t, conn); status != http.StatusRequestTimeout {
				t.Errorf("got %d", status)
			}
		})
	}
}

// TestForwardingOutlivesTheDeadlinesOfTheServer: as long as something moves, the deadlines for small requests do not count. The
// server reads the body and sends the answer in ten pieces, over a time that is longer than its read and write timeouts.
func TestForwardingOutlivesTheDeadlinesOfTheServer(t *testing.T) {
	s := startForwarding(t, &fakeUpstream{reply: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		for range 10 {
			time.Sleep(120 * time.Millisecond)
			_, _ = io.WriteString(w, "a row\n")
			_ = http.NewResponseController(w).Flush()
		}
		return true
	}}, func(u *compat.Upstream) { u.IdleTimeout = 20 * time.Second })
	for name, pieces := range map[string]int{"a body in memory": 0, "a large body": 10} {
		rest := strings.Repeat("a", 100<<10)
		var conn net.Conn
		if pieces > 0 {
			conn = startBody(t, s, len(`{"operation":"insert","records":["`)+100+pieces*len(rest)+len(`"]}`))
			for range pieces {
				time.Sleep(120 * time.Millisecond)
				_, _ = io.WriteString(conn, rest)
			}
			_, _ = io.WriteString(conn, `"]}`)
		} else {
			conn = startRequest(t, s, `{"operation":"sql"}`, len(`{"operation":"sql"}`))
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || strings.Count(string(answer), "a row") != 10 {
			t.Errorf("%s: got %d %q %v", name, resp.StatusCode, answer, err)
		}
	}
}

// TestForwardedRequestsEnd: neither an upstream that stands still nor one that never ends holds a request.
func TestForwardedRequestsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		bound  func(*compat.Upstream)
		reply  func(http.ResponseWriter, *http.Request, string) bool
		status int // 0: the answer is cut off
	}{
		"no answer": {
			func(u *compat.Upstream) { u.MaxTime, u.Timeout = 200*time.Millisecond, time.Hour },
			neverAnswer, http.StatusGatewayTimeout,
		},
		"half an answer": {func(u *compat.Upstream) { u.IdleTimeout = time.Second }, func(w http.ResponseWriter, r *http.Request, _ string) bool {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}, 0},
		"an answer without end": {func(u *compat.Upstream) { u.MaxTime = 2 * time.Second }, func(w http.ResponseWriter, r *http.Request, _ string) bool {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "a row\n")
				_ = http.NewResponseController(w).Flush()
			}
			return true
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := startForwarding(t, &fakeUpstream{reply: test.reply}, test.bound)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(`{"operation":"sql"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", adminBasic)
			status := 0
			resp, err := s.Client().Do(r)
			if err == nil {
				defer func() { _ = resp.Body.Close() }()
				status = resp.StatusCode
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if (err != nil) != (test.status == 0) || err == nil && status != test.status {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
}

// TestUpstreamThatDoesNotTakeABody: the client waits for the upstream, and not for ever.
func TestUpstreamThatDoesNotTakeABody(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never reads
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.Close() })
	s := startForwarding(t, &fakeUpstream{}, func(u *compat.Upstream) {
		u.URL, u.IdleTimeout = "http://"+deaf.Addr().String(), 2*time.Second
	})
	conn := startBody(t, s, 60<<20)
	go func() { _, _ = io.Copy(conn, io.LimitReader(letters{}, 59<<20)) }()
	if status := finalStatus(t, conn); status != http.StatusGatewayTimeout {
		t.Errorf("got %d", status)
	}
}

// letters is a text without end.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestForwardedBodiesAreBounded, with a length and without.
func TestForwardedBodiesAreBounded(t *testing.T) {
	u := &fakeUpstream{}
	_, h := withUpstream(t, u, func(c *compat.Config) { c.MaxBody, c.Upstream.MaxBody = 1<<10, 8<<10 })
	for name, body := range map[string]io.Reader{
		"length":     strings.NewReader(`{"operation":"insert","records":"` + strings.Repeat("a", 10<<10) + `"}`),
		"no length":  io.MultiReader(strings.NewReader(`{"operation":"insert","records":"` + strings.Repeat("a", 10<<10) + `"}`)),
		"not JSON":   strings.NewReader(strings.Repeat("a", 2<<10)),
		"not length": io.MultiReader(strings.NewReader(strings.Repeat("a", 2<<10))),
	} {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(name, "not") {
			r.Header.Set("Content-Type", "application/x-msgpack")
		}
		r.Header.Set("Authorization", adminBasic)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
}

// TestForwardedRequestsAreCounted: one more than the bound is told to come again.
func TestForwardedRequestsAreCounted(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	_, h := withUpstream(t, &fakeUpstream{reply: func(http.ResponseWriter, *http.Request, string) bool {
		arrived <- struct{}{}
		<-release
		return false
	}}, func(c *compat.Config) { c.Upstream.MaxRequests = 2; c.Upstream.Timeout = time.Minute })
	done := make(chan int)
	for range 2 {
		go func() { done <- send(h, adminBasic, `{"operation":"describe_all"}`).Code }()
		<-arrived
	}
	if w := send(h, adminBasic, `{"operation":"describe_all"}`); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a third request: %d %v", w.Code, w.Header())
	}
	if w := send(h, adminBasic, `{"operation":"user_info"}`); w.Code != 200 {
		t.Errorf("an operation that is answered here: %d", w.Code)
	}
	close(release)
	for range 2 {
		if status := <-done; status != 200 {
			t.Errorf("got %d", status)
		}
	}
	go func() { <-arrived }()
	if w := send(h, adminBasic, `{"operation":"describe_all"}`); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// TestAnswersToOwnRequestsAreBounded: an upstream cannot fill the memory by answering a login that is checked there.
func TestAnswersToOwnRequestsAreBounded(t *testing.T) {
	v := verifier(t, &fakeUpstream{reply: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		_, _ = io.WriteString(w, `{"username":"olga","operation_token":"`+upstreamToken("zoë")+`","refresh_token":"x"`)
		_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat(" ", 4<<20)), 4<<20))
		_, _ = io.WriteString(w, `}`)
		return true
	}})
	for _, name := range []string{"olga", "zoë"} {
		if got, err := v.Verify(t.Context(), name, "olgapw"); err == nil || errors.Is(err, compat.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
