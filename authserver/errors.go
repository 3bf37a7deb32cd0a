package authserver

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/ory/fosite"
)

// Error is an answer to a request that is refused: what RFC 6749 section 5.2 says of it. Its description is fixed text and
// never repeats what the request said.
type Error struct {
	Status      int
	Code        string
	Description string
	RetryAfter  time.Duration
	// Cause goes to the log alone.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Description + ": " + e.Cause.Error()
	}
	return e.Code + ": " + e.Description
}

func (e *Error) Unwrap() error { return e.Cause }

func invalidRequest(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

func invalidGrant(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_grant", Description: description}
}

func invalidScope(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_scope", Description: description}
}

// The one text for every client that could not be authenticated: which of ID and secret was wrong is nobody's business.
func invalidClient(cause error) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Client authentication failed.", Cause: cause}
}

const expiredRefresh = "The refresh token expired."

// fositeErrors maps what fosite's handlers return: its error name → the answer. Anything else is a fault of ours.
var fositeErrors = map[string]Error{
	"invalid_request":        {Status: 400, Code: "invalid_request", Description: "The request is missing a parameter, or has one that is malformed."},
	"invalid_client":         {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"request_unauthorized":   {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"invalid_grant":          {Status: 400, Code: "invalid_grant", Description: "The grant is not valid, expired, revoked, or was issued to another client."},
	"unauthorized_client":    {Status: 400, Code: "unauthorized_client", Description: "The client may not use this grant type."},
	"unsupported_grant_type": {Status: 400, Code: "unsupported_grant_type", Description: "The server does not support this grant type."},
	"invalid_scope":          {Status: 400, Code: "invalid_scope", Description: "The scope is unknown, malformed, or more than was granted."},
	"scope_not_granted":      {Status: 400, Code: "invalid_scope", Description: "The scope is unknown, malformed, or more than was granted."},
	"jti_known":              {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"not_found":              {Status: 400, Code: "invalid_grant", Description: "The grant is not valid, expired, revoked, or was issued to another client."},
	"token_inactive":         {Status: 400, Code: "invalid_grant", Description: "The grant is not valid, expired, revoked, or was issued to another client."},
}

// answerTo decides what a client is told. A verdict (4xx) only where the server knows: a store that did not answer is 503
// with Retry-After, however deep in the chain it hides, because clients throw tokens away on a wrong 4xx.
func answerTo(err error) *Error {
	if errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return &Error{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
			Description: "The server cannot answer now. Nothing was decided; try again.",
			RetryAfter:  time.Duration(1+rand.IntN(3)) * time.Second, //nolint:gosec // spreads retries, guards nothing
			Cause:       err,
		}
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var rfc *fosite.RFC6749Error
	if errors.As(err, &rfc) {
		if known, ok := fositeErrors[rfc.ErrorField]; ok {
			known.Cause = err
			if errors.Is(err, fosite.ErrTokenExpired) && known.Code == "invalid_grant" {
				known.Description = expiredRefresh
			}
			return &known
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: "The server met an error of its own.", Cause: err}
}

// fail is the one writer of errors: status, headers, body and log.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer := answerTo(err)
	h := w.Header()
	if answer.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((answer.RetryAfter+time.Second-1)/time.Second)))
	}
	if answer.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="opgrant", charset="UTF-8"`)
	}
	level := slog.LevelInfo
	if answer.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.config.Log.Log(r.Context(), level, "request refused",
		"path", r.URL.Path, "status", answer.Status, "error", answer.Code, "cause", cause(answer))
	body := map[string]string{"error": answer.Code}
	if answer.Description != "" {
		body["error_description"] = answer.Description
	}
	writeJSON(w, answer.Status, body)
}

// cause is what the log may know of an error: fosite's hints can quote the request, so only names and storage errors pass.
func cause(e *Error) string {
	if e.Cause == nil {
		return e.Description
	}
	var rfc *fosite.RFC6749Error
	if errors.As(e.Cause, &rfc) && e.Status < http.StatusInternalServerError {
		return rfc.ErrorField
	}
	return e.Cause.Error()
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
