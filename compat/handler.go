package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"time"
)

// maxHeaderBytes bounds the request header, as on the recorded server.
const maxHeaderBytes = 16 << 10

// ServeHTTP checks a request in the order of the recorded server: the origin, the Authorization header, the path, the body.
// Only a Bearer token on POST / is checked after the body has been read, see serveOperation.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if headerTooLarge(r) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	if h.cfg.ServerName != "-" {
		w.Header().Set("Server", h.cfg.ServerName)
	}
	if preflight := h.allowOrigin(w, r); preflight {
		w.WriteHeader(http.StatusOK)
		return
	}
	ctx, end := lingering(r.Context())
	defer end()
	r = r.WithContext(ctx)
	c := &call{r: r}
	err := h.checkHeader(c)
	if err == nil && r.Method == http.MethodPost && r.URL.EscapedPath() == "/" {
		h.serveOperation(w, c)
		return
	}
	if err == nil {
		err = h.checkBearer(c)
	}
	if err != nil {
		h.refuseHeader(w, r, err)
		return
	}
	h.serveOther(w, c)
}

// linger is how long a request goes on after its client has shut its side of the connection.
const linger = time.Second

// lingering returns the context of a request, and what ends it. net/http ends its own as soon as the client has nothing more to send,
// which a client that waits for its answer may say too. It cannot be told from one that has gone, for whom no work is done for long.
func lingering(ctx context.Context) (context.Context, func()) {
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(linger, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(lasting, func() { timer.Stop() })
	})
	return lasting, func() {
		stop()
		cancel(nil)
	}
}

func headerTooLarge(r *http.Request) bool {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return size > maxHeaderBytes
}

// refuseHeader answers a request whose Authorization header is refused.
func (h *Handler) refuseHeader(w http.ResponseWriter, r *http.Request, err error) {
	e := asAPIError(err)
	if e.shape == headerShape && !acceptable(r) {
		e = &apiError{status: http.StatusNotAcceptable, shape: textShape, message: "ClientError: " + notAcceptableText}
		w.Header().Del("Server")
	}
	h.announceEnd(w.Header(), r)
	h.writeError(w, r, e)
}

// serveOther answers everything but POST /.
func (h *Handler) serveOther(w http.ResponseWriter, c *call) {
	r := c.r
	escaped := r.URL.EscapedPath()
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.Method == http.MethodOptions:
		varyByOrigin(w.Header())
		writeText(w, http.StatusBadRequest, "text/plain", "Invalid Preflight Request")
	case escaped == "/health" && reads:
		varyByOrigin(w.Header())
		writeText(w, http.StatusOK, "text/plain; charset=utf-8", "HarperDB is running.")
	case escaped == "/api/openapi/rest" && reads && c.credentials.caller == nil:
		h.writeError(w, r, unauthorized(mustLoginText))
	case escaped == "/api/openapi/rest" && reads && h.upstream != nil:
		h.forwardDescription(w, c)
	case reads && aboveRoot(r.URL.Path):
		varyByOrigin(w.Header())
		w.Header().Add("Vary", "accept-encoding") // its files may be compressed
		writeText(w, http.StatusForbidden, "application/json", `{"error":"Forbidden"}`)
	default:
		if escaped == "/" {
			w.Header().Set("Allow", "POST, OPTIONS")
		}
		w.Header()["Content-Type"] = nil
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "Not found\n")
	}
}

// upwards is a segment that leads upwards, where backslashes separate segments too.
var upwards = regexp.MustCompile(`(^|[/\\])\.\.([/\\]|$)`)

// aboveRoot tells whether a path leads above the root. The recorded server serves files, and refuses these before it looks for one.
func aboveRoot(p string) bool { return upwards.MatchString(path.Clean("./" + p)) }

func writeText(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// announceEnd announces the end of the operations API: RFC 9745 and RFC 8594.
func (h *Handler) announceEnd(header http.Header, r *http.Request) {
	if r.Method != http.MethodPost {
		return
	}
	if !h.cfg.Deprecation.IsZero() {
		header.Set("Deprecation", fmt.Sprintf("@%d", h.cfg.Deprecation.Unix()))
		if h.cfg.Notice != "" {
			header.Set("Link", "<"+h.cfg.Notice+`>; rel="deprecation"; type="text/html"`)
		}
	}
	if !h.cfg.Sunset.IsZero() {
		header.Set("Sunset", h.cfg.Sunset.UTC().Format(http.TimeFormat))
	}
}
