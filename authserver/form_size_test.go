package authserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
)

func TestFormsAreReadUpTo256KiB(t *testing.T) {
	ts := onFake(t)
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for size, want := range map[int]string{256 << 10: "invalid_request", 256<<10 + 1: "too large"} {
			begin := "grant_type=password&username=alice&password="
			body := begin + strings.Repeat("x", size-len(begin))
			r := ts.raw(http.MethodPost, path, body, "Content-Type", "application/x-www-form-urlencoded")
			if large := strings.Contains(r.raw, "too large"); large != (want == "too large") || large && (r.status != 413 || !r.closed) {
				t.Errorf("%s, %d bytes: %d %s", path, size, r.status, r.raw)
			}
		}
	}
}

// A body that Config.MeterBody holds back is unavailable, not refused, and each is released once.
func TestFormsAreMetered(t *testing.T) {
	held, refuse := 0, false
	ts := onFake(t)
	ts.start(func(c *authserver.Config) {
		c.MeterBody = func(body io.Reader) (io.Reader, func()) {
			held++
			if refuse {
				return io.MultiReader(io.LimitReader(body, 3), failingReader{}), func() { held-- }
			}
			return body, func() { held-- }
		}
	})
	ts.login("web")
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		refuse = true
		if r := ts.post(path, "web", "grant_type", "password", "token", "x"); r.status != 503 || !r.closed || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.status, r.raw)
		}
		refuse = false
	}
	if held != 0 {
		t.Errorf("%d bodies are still held", held)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, fosite.ErrTemporarilyUnavailable }
