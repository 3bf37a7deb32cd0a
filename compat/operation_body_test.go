package compat_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// A body of more than 256 KiB needs a caller whom the header proves, and is not read before that is known.
func TestLargeBodiesNeedAKnownCaller(t *testing.T) {
	d := newDirectory(t)
	h := d.handler(t, nil)
	var issued struct {
		Access  string `json:"operation_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(post(h, `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`).Body.Bytes(), &issued); err != nil {
		t.Fatal(err)
	}
	expired := d.sign(compat.Caller{Name: "HDB_ADMIN", Role: "super_user", SuperUser: true}, "", "operation", "", -time.Hour)
	body := func(n int) string {
		begin, end := `{"operation":"user_info","username":"HDB_ADMIN","password":"password","x":"`, `"}`
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	for _, test := range []struct {
		name, authorization string
		size, status        int
		text                string
		read                int // at most so many bytes
	}{
		{"caller in the body", "", 256 << 10, 200, "HDB_ADMIN", 256 << 10},
		{"caller in the body, too large", "", 256<<10 + 1, 413, "too large", 0},
		{"Basic", adminBasic, 1 << 20, 200, "HDB_ADMIN", 1 << 20},
		{"Basic, too large", adminBasic, 1<<20 + 1, 413, "too large", 0},
		{"wrong Basic", "Basic YTpi", 1 << 20, 401, "Login failed", 0},
		{"operation token", "Bearer " + issued.Access, 1 << 20, 200, "HDB_ADMIN", 1 << 20},
		{"operation token, too large", "Bearer " + issued.Access, 1<<20 + 1, 413, "too large", 0},
		{"expired token", "Bearer " + expired, 256<<10 + 1, 401, "token expired", 0},
		{"refresh token", "Bearer " + issued.Refresh, 256<<10 + 1, 413, "too large", 0},
		{"invalid token", "Bearer nonsense", 256<<10 + 1, 401, "invalid token", 0},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(test.name+map[bool]string{true: ", chunked"}[chunked], func(t *testing.T) {
				read := &countingReader{Reader: strings.NewReader(body(test.size))}
				r := httptest.NewRequest(http.MethodPost, "/", read)
				r.Header.Set("Content-Type", "application/json")
				if r.ContentLength = int64(test.size); chunked {
					r.ContentLength = -1
				}
				if test.authorization != "" {
					r.Header.Set("Authorization", test.authorization)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) {
					t.Errorf("got %d %.200s", w.Code, w.Body)
				}
				if w.Code == 413 && w.Header().Get("Connection") != "close" {
					t.Error("the answer waits for the rest of the body")
				}
				if !chunked && read.n > test.read {
					t.Errorf("%d bytes were read", read.n)
				}
			})
		}
	}
}

type countingReader struct {
	io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// A body that is held back is 503 and not an error of the caller, and what it holds is given back when the request has ended.
func TestBodiesAreMetered(t *testing.T) {
	held, left := 0, 1000
	meter := func(body io.Reader) (io.Reader, func()) {
		held++
		return readerFunc(func(p []byte) (int, error) {
			n, err := body.Read(p[:min(len(p), 100)])
			if left -= n; left < 0 {
				return 0, &compat.RetryError{Err: errors.New("none left"), After: 7 * time.Second}
			}
			return n, err
		}), func() { held-- }
	}
	h := newDirectory(t).handler(t, func(c *compat.Config) { c.MeterBody = meter })
	if w := send(h, adminBasic, `{"operation":"user_info"}`); w.Code != 200 || held != 0 {
		t.Errorf("got %d %s, %d held", w.Code, w.Body, held)
	}
	w := send(h, adminBasic, `{"operation":"user_info","x":"`+strings.Repeat("x", 1000)+`"}`)
	if w.Code != 503 || w.Header().Get("Retry-After") != "7" || w.Header().Get("Connection") != "close" || held != 0 {
		t.Errorf("got %d %v %s, %d held", w.Code, w.Header(), w.Body, held)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
