package compat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// upstreamRequest is the result of an operation that the upstream answers.
type upstreamRequest struct {
	caller Caller // zero: the caller is not known, and no credentials are added
	body   io.ReadCloser
	length int64 // of the body; -1: unknown
}

// forUpstream is the request of an operation whose whole body is in memory.
func (c *call) forUpstream(caller Caller) *upstreamRequest {
	return &upstreamRequest{caller: caller, body: io.NopCloser(bytes.NewReader(c.body)), length: int64(len(c.body))}
}

// forwardBinaryBody returns the request for a body in a format that only the upstream reads. Its caller has to be in the header.
func (h *Handler) forwardBinaryBody(c *call) (any, error) {
	caller, err := h.findCaller(c)
	if err != nil {
		return nil, err
	}
	return &upstreamRequest{caller: caller, body: c.r.Body, length: c.r.ContentLength}, nil
}

// forward sends a request to the upstream, writes its answer, and returns the status.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, u *upstreamRequest) int {
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = u.body, u.length
	if h.upstream.Authorization != nil && u.caller.Name != "" {
		authorization, err := h.upstream.Authorization(r.Context(), u.caller)
		if err != nil {
			e := unavailable(err)
			h.writeError(w, r, e)
			return e.status
		}
		out.Header.Set("Authorization", authorization)
	}
	w.Header().Del("Server")
	// A large body or answer may take longer than the deadlines of the server. Not every ResponseWriter supports them.
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{})
	_ = deadlines.SetWriteDeadline(time.Time{})
	s := &statusWriter{ResponseWriter: w}
	h.upstream.proxy.ServeHTTP(s, out)
	return s.status
}

// writeUpstreamError answers a request that could not be forwarded.
func (h *Handler) writeUpstreamError(w http.ResponseWriter, r *http.Request, err error) {
	e := &apiError{status: http.StatusBadGateway, message: "The upstream server is not reachable", cause: err}
	var own *apiError
	var timeout net.Error
	switch {
	case errors.As(err, &own): // largeBody refused the rest of the body
		e = own
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e = &apiError{status: http.StatusGatewayTimeout, message: "The upstream server did not answer in time", cause: err}
	}
	h.writeError(w, r, e)
}

// statusWriter remembers the status of a forwarded answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the first final status.
func (s *statusWriter) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the proxy flush and set deadlines.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
