package main

import (
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// observed counts every request, logs it, and turns a panic into a 500, so that one request cannot take the process along.
func observed(next http.Handler, m *metrics, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answer := &answer{ResponseWriter: w}
		defer func() {
			broken := recover()
			if broken != nil && broken != http.ErrAbortHandler { //nolint:errorlint // a value that was panicked with, compared as net/http does
				log.Error("panic", "value", broken, "path", r.URL.Path, "stack", string(debug.Stack()))
				answer.fail()
			}
			took := time.Since(start)
			m.request(r, answer.code(), took)
			log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", answer.code(), "took", took, "remote", r.RemoteAddr)
			if broken == http.ErrAbortHandler { //nolint:errorlint // as above
				panic(broken) // net/http closes the connection: the client must not take half an answer for a whole one
			}
		}()
		next.ServeHTTP(answer, r)
	})
}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what the server offers.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// fail answers for a handler that panicked, in a shape that both doors know.
func (a *answer) fail() {
	if a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h := a.Header()
	clear(h)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	a.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(a, `{"error":"server_error","error_description":"The server met a condition that it did not expect."}`)
}
