package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opgrant/opgrant"
)

func TestReadiness(t *testing.T) {
	log, text := testLog(t)
	var started, broken atomic.Bool
	h := &health{log: log, ready: func(context.Context) error {
		if !started.Load() {
			return opgrant.ErrStarting
		}
		if broken.Load() {
			return errors.New("connection refused")
		}
		return nil
	}}
	ask := func(handler http.HandlerFunc) *http.Response {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Result()
	}
	if got := ask(h.readiness); got.StatusCode != 503 {
		t.Errorf("before the start is done: %s", got.Status)
	}
	started.Store(true)
	if got := ask(h.readiness); got.StatusCode != 200 {
		t.Errorf("Redis answers: %s", got.Status)
	}
	broken.Store(true)
	for range 3 {
		if got := ask(h.readiness); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
			t.Errorf("Redis does not answer: %s %v", got.Status, got.Header)
		}
	}
	if got := ask(h.live); got.StatusCode != 200 {
		t.Errorf("the process is alive: %s", got.Status)
	}
	if n := strings.Count(text.String(), "not ready"); n != 1 {
		t.Errorf("an outage is logged once, not %d times", n)
	}
	broken.Store(false)
	h.draining.Store(true)
	if got := ask(h.readiness); got.StatusCode != 503 {
		t.Errorf("draining: %s", got.Status)
	}
}
