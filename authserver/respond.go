package authserver

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/admission"
)

// writeError is the only writer of errors: status, headers, body and log.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := errorResponse(err)
	s.allowOrigin(w, r, err)
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="opgrant", charset="UTF-8"`)
	}
	level := slog.LevelInfo
	switch {
	case errors.Is(e.Cause, admission.ErrBusy):
		level = slog.LevelDebug // a flood of refusals must not cost more than it saves; a metric counts them
	case e.Status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	s.config.Log.Log(r.Context(), level, "request refused",
		"path", r.URL.Path, "status", e.Status, "error", e.Code, "cause", logCause(e))
	body := map[string]string{"error": e.Code}
	if e.Description != "" {
		body["error_description"] = e.Description
	}
	writeJSON(w, e.Status, body)
}

// logCause is the part of an error that is safe to log. fosite's hints can quote the request, so of a refusal only the name
// of fosite's error is logged.
func logCause(e *oauthError) string {
	if e.Cause == nil {
		return e.Description
	}
	var rfc *fosite.RFC6749Error
	if errors.As(e.Cause, &rfc) && e.Status < http.StatusInternalServerError {
		return rfc.ErrorField
	}
	return e.Cause.Error()
}

// writeJSON writes a response that no cache keeps (RFC 6749 section 5.1).
func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// documentMaxAge is how long clients may cache metadata and keys, in seconds. It must stay below keys.Config.Lead.
const documentMaxAge = 300

// writeDocument writes a public document.
func writeDocument(w http.ResponseWriter, r *http.Request, body []byte, contentType, etag string) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(documentMaxAge))
	if etag != "" {
		h.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
