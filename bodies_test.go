package opgrant_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

const (
	operations  = "/"
	tokens      = "/oauth2/token"
	introspects = "/oauth2/introspect"
)

// sendBody sends a body as it is read, with the length that is declared, and returns the answer.
func sendBody(t *testing.T, server, path string, body io.Reader, length int64) (status int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	if req.Header.Set("Content-Type", "application/x-www-form-urlencoded"); path == operations {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0, nil, ""
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(raw)
}

// heldBody gives its text, waits, as a slow sender does, and gives one more byte.
type heldBody struct {
	io.Reader
	sent    chan struct{}
	once    sync.Once
	release <-chan struct{}
}

func (h *heldBody) Read(p []byte) (int, error) {
	if n, err := h.Reader.Read(p); err == nil {
		return n, nil
	}
	last := 0
	h.once.Do(func() {
		close(h.sent)
		<-h.release
		last = copy(p, "x")
	})
	if last == 0 {
		return 0, io.EOF
	}
	return last, nil
}

// Bodies share one budget on both APIs. Those that find none left are 503, small ones pass, and what a request has taken is there
// again when it has ended. What was only declared takes nothing.
func TestBodiesShareABudget(t *testing.T) {
	const budget, size = 300 << 10, 200 << 10
	login := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`
	for _, path := range []string{operations, tokens, introspects} {
		t.Run(path, func(t *testing.T) {
			_, server := start(t, func(c *opgrant.Config) { c.BodyBudget = budget })
			release := make(chan struct{})
			hold := func() (ended chan struct{}) {
				ended = make(chan struct{})
				held := &heldBody{Reader: strings.NewReader(strings.Repeat("x", size)), sent: make(chan struct{}), release: release}
				go func() { defer close(ended); sendBody(t, server.URL, path, held, size+1) }()
				select {
				case <-held.sent:
				case <-ended:
				}
				return ended
			}
			first := hold()
			other := func(path string) (int, http.Header, string) {
				return sendBody(t, server.URL, path, strings.NewReader(strings.Repeat("x", size)), size)
			}
			for _, second := range []string{operations, tokens, introspects} {
				status, header, text := 0, http.Header{}, ""
				for end := time.Now().Add(time.Minute); status != 503 && time.Now().Before(end); { // until the server has read the first one
					status, header, text = other(second)
					select {
					case <-first: // it was the one that found none left
						first = hold()
					default:
					}
				}
				if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(text, `"error":`) {
					t.Errorf("%s meanwhile: %d %v %s", second, status, header, text)
				}
			}
			if status, _, text := sendBody(t, server.URL, operations, strings.NewReader(login), int64(len(login))); status != 200 {
				t.Errorf("a login meanwhile: %d %s", status, text)
			}
			close(release)
			<-first
			for _, second := range []string{operations, tokens, introspects} {
				if status, _, text := other(second); status != 400 && status != 401 {
					t.Errorf("%s afterwards: %d %s", second, status, text)
				}
			}
		})
	}
}

// Passwords of up to 64 KiB log in, on both APIs and in every spelling; longer ones are wrong and cost no hash.
func TestLongPasswords(t *testing.T) {
	const longest = 64 << 10
	long := strings.Repeat("é;%\"", longest/5) // five bytes, of which four are escaped in a form
	s, server := start(t, func(c *opgrant.Config) {
		prepare := c.Prepare
		c.Prepare = func(ctx context.Context, s *opgrant.Server) error {
			if err := prepare(ctx, s); err != nil {
				return err
			}
			return s.Store.Users.AddVerifiedUser(ctx, storage.User{Name: "long", Role: "super_user", Active: true}, long)
		}
	})
	form := func(password string) string {
		return url.Values{"grant_type": {"password"}, "client_id": {"demo"}, "client_secret": {"demo-secret"}, "username": {"long"}, "password": {password}}.Encode()
	}
	create := func(password string) string {
		return fmt.Sprintf(`{"operation":"create_authentication_tokens","username":"long","password":"%s"}`, strings.ReplaceAll(password, `"`, `\u0022`))
	}
	for _, test := range []struct {
		name, password string
		form, create   int
	}{
		{"right", long, 200, 200},
		{"wrong at its end", long[:len(long)-1] + "x", 400, 401},
		{"too long", long + strings.Repeat("x", 6), 400, 401},
		{"too long, and too large as a form", strings.Repeat("é", 60<<10), 413, 401},
		{"far too long", strings.Repeat("x", 200<<10), 400, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := s.Store.Users.PasswordRuns()
			if status, _, text := sendBody(t, server.URL, tokens, strings.NewReader(form(test.password)), -1); status != test.form {
				t.Errorf("OAuth: %d %.200s", status, text)
			}
			if status, _, text := sendBody(t, server.URL, operations, strings.NewReader(create(test.password)), -1); status != test.create {
				t.Errorf("operations API: %d %.200s", status, text)
			}
			if runs := s.Store.Users.PasswordRuns() - before; (runs == 0) != (len(test.password) > longest) {
				t.Errorf("%d hashes", runs)
			}
		})
	}
}
