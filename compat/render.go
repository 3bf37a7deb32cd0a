package compat

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// tokens is the answer to the two token operations.
type tokens struct {
	OperationToken string `json:"operation_token"`
	RefreshToken   string `json:"refresh_token,omitempty"`
}

// errorBody is the shape of nearly every error.
type errorBody struct {
	Error string `json:"error"`
}

// frameworkBody is the shape of errors of the web framework beneath the recorded server.
type frameworkBody struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
}

// succeed writes a 200. Answers with tokens must not be kept by caches: RFC 6749, section 5.1.
func (h *Handler) succeed(w http.ResponseWriter, body any) {
	if _, ok := body.(tokens); ok {
		noStore(w.Header())
	}
	h.write(w, http.StatusOK, inner, encode(body))
}

func noStore(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
}

// fail is the one writer of errors.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, f *failure) {
	if f.cause != nil && f.status >= http.StatusInternalServerError {
		h.log.ErrorContext(r.Context(), "operation failed", "status", f.status, "error", f.cause)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retry.Seconds()))))
	}
	if f.status == http.StatusUnauthorized {
		// RFC 9110, section 15.5.2. Not Basic: on that browsers open a dialogue of their own before the script sees the 401.
		w.Header().Set("WWW-Authenticate", `Bearer realm="operations"`)
		noStore(w.Header())
	}
	h.write(w, f.status, f.layer, f.encode())
}

func (f *failure) encode() []byte {
	switch {
	case f.layer == plain:
		return []byte(f.message)
	case f.layer == framework:
		return encode(frameworkBody{f.status, http.StatusText(f.status), f.message})
	case f.body != nil:
		return encode(f.body)
	}
	return encode(errorBody{f.message})
}

func (h *Handler) write(w http.ResponseWriter, status int, from layer, body []byte) {
	header := w.Header()
	switch from {
	case inner:
		header.Set("Content-Type", "application/json")
		header.Add("Vary", "Origin")
	case framework:
		header.Set("Content-Type", "application/json; charset=utf-8")
		header.Add("Vary", "Origin")
	default:
		header["Content-Type"] = nil // or net/http guesses one
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// millis writes times as the recorded server does: milliseconds, with a fraction where there is one.
func millis(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMicro())/1000, 'f', -1, 64))
}

// encode writes v without the escapes that encoding/json adds for HTML, which JavaScript does not.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Everything that is encoded here is made of strings, numbers and JSON that was scanned before.
		panic("compat: encode answer: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
