package server

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"time"
)

// observed counts and logs every request, and turns a panic into a 500, so that one request cannot end the process.
func observed(next http.Handler, m *metrics, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() {
			broken := recover()
			if broken != nil && broken != http.ErrAbortHandler { //nolint:errorlint // a value that was panicked with, compared as net/http does
				log.Error("panic", "value", broken, "path", r.URL.Path, "stack", string(debug.Stack()))
				recorder.fail()
			}
			took := time.Since(start)
			m.request(r, recorder.code(), took)
			log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", recorder.code(), "took", took, "remote", r.RemoteAddr)
			if broken == http.ErrAbortHandler { //nolint:errorlint // as above
				panic(broken) // net/http closes the connection, so that the client sees that the answer is incomplete
			}
		}()
		next.ServeHTTP(recorder, r)
	})
}

// statusRecorder remembers the status of the answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what the server offers.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusRecorder) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}

// fail answers for a handler that panicked, in a form that clients of both APIs can read.
func (s *statusRecorder) fail() {
	if s.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h := s.Header()
	maps.DeleteFunc(h, func(name string, _ []string) bool { return name != "Connection" }) // see closeAmbiguous
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	s.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(s, `{"error":"server_error","error_description":"The server met a condition that it did not expect."}`)
}
