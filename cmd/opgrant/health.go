package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// health answers the two questions of whoever runs the process.
type health struct {
	ready    func(context.Context) error // asks Redis to run a script that writes
	log      *slog.Logger
	started  atomic.Bool // keys are loaded, clients and users made
	draining atomic.Bool
	failing  atomic.Bool // so that an outage is logged twice, not on every probe
}

// live never asks Redis: restarting the process would not mend it.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	plainAnswer(w, http.StatusOK, "alive\n")
}

// readiness says whether to send requests here.
func (h *health) readiness(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() {
		plainAnswer(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	if !h.started.Load() {
		w.Header().Set("Retry-After", "1")
		plainAnswer(w, http.StatusServiceUnavailable, "starting\n")
		return
	}
	err := h.ready(r.Context())
	if err == nil {
		if h.failing.Swap(false) {
			h.log.Info("ready again")
		}
		plainAnswer(w, http.StatusOK, "ready\n")
		return
	}
	if r.Context().Err() == nil && !h.failing.Swap(true) {
		h.log.Warn("not ready", "error", err)
	}
	w.Header().Set("Retry-After", "1")
	plainAnswer(w, http.StatusServiceUnavailable, "not ready\n")
}

func plainAnswer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
