package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

// health serves the liveness and readiness checks.
type health struct {
	ready    func(context.Context) error // opgrant.Server.Ready
	started  <-chan struct{}             // opgrant.Server.Started
	log      *slog.Logger
	draining atomic.Bool
	failing  atomic.Bool // an outage is logged when it begins and ends, not on each check
}

// awaitStart returns when the server has started, when ctx ends, or after the wait.
func (h *health) awaitStart(ctx context.Context, wait time.Duration) {
	select {
	case <-h.started:
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

func (h *health) hasStarted() bool {
	select {
	case <-h.started:
		return true
	default:
		return false
	}
}

// live does not ask Redis: restarting the process would not repair it.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writePlain(w, http.StatusOK, "alive\n")
}

// readiness tells whether to send requests here.
func (h *health) readiness(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() {
		writePlain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	err := h.ready(r.Context())
	if errors.Is(err, opgrant.ErrStarting) {
		w.Header().Set("Retry-After", "1")
		writePlain(w, http.StatusServiceUnavailable, "starting\n"+hint(err))
		return
	}
	if err == nil {
		if h.failing.Swap(false) {
			h.log.Info("ready again")
		}
		writePlain(w, http.StatusOK, "ready\n")
		return
	}
	if r.Context().Err() == nil && !h.failing.Swap(true) {
		h.log.Warn("not ready", "error", err)
	}
	w.Header().Set("Retry-After", "1")
	writePlain(w, http.StatusServiceUnavailable, "not ready\n"+hint(err))
}

// What to do about a Redis that answers and does not hold the store.
const (
	HintUninitialised = "redis holds no store: for a new installation run `opgrant store init`; " +
		"if there was a store, it is lost: restore a backup, or see `opgrant store accept-loss --help`"
	hintLost = "redis no longer holds the store that this server knows: restore its data, " +
		"or run `opgrant store accept-loss` and restart every server"
)

// hint is the line that tells what to do about an error, empty where nobody need do anything.
func hint(err error) string {
	switch {
	case errors.Is(err, storage.ErrUninitialised):
		return HintUninitialised + "\n"
	case errors.Is(err, storage.ErrLost):
		return hintLost + "\n"
	}
	return ""
}

func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
