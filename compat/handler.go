package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxHeader bounds the request header as the recorded server does.
const maxHeader = 16 << 10

// methods are those that the recorded server can read at all; others are 400.
var methods = strings.Fields("ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR " +
	"MKCOL MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE " +
	"UNBIND UNLINK UNLOCK UNSUBSCRIBE")

// ServeHTTP answers as the recorded server does, in its order: the origin, the Authorization header, the path, the body.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := unreadable(r); status != 0 {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		return
	}
	if h.cfg.ServerName != "-" {
		w.Header().Set("Server", h.cfg.ServerName)
	}
	if preflight := h.cors(w, r); preflight {
		w.WriteHeader(http.StatusOK)
		return
	}
	if h.renewAtOnce(w, r) {
		return
	}
	by, f := h.header(r)
	if f != nil {
		if f.layer == outer && !acceptable(r) {
			f = &failure{status: http.StatusNotAcceptable, layer: plain, message: "ClientError: " + notAcceptable}
			w.Header().Del("Server")
		}
		h.announce(w.Header(), r)
		h.fail(w, r, f)
		return
	}
	h.route(w, r, by)
}

// unreadable is the status for requests that the recorded server does not take for HTTP.
func unreadable(r *http.Request) int {
	if !slices.Contains(methods, r.Method) {
		return http.StatusBadRequest
	}
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > maxHeader {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

func (h *Handler) route(w http.ResponseWriter, r *http.Request, by presented) {
	path := r.URL.EscapedPath()
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Vary", "Origin")
		writeText(w, http.StatusBadRequest, "text/plain", "Invalid Preflight Request")
	case path == "/" && r.Method == http.MethodPost:
		h.operation(w, r, by)
	case path == "/health" && read:
		w.Header().Set("Vary", "Origin")
		writeText(w, http.StatusOK, "text/plain; charset=utf-8", "HarperDB is running.")
	case path == "/api/openapi/rest" && read && by.caller == nil:
		h.fail(w, r, &failure{status: http.StatusUnauthorized, message: mustLogin})
	case path == "/api/openapi/rest" && read && h.forward != nil:
		_ = h.pass(w, r, &passOn{caller: *by.caller, body: http.NoBody})
	default:
		if path == "/" {
			w.Header().Set("Allow", "POST, OPTIONS")
		}
		w.Header()["Content-Type"] = nil
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "Not found\n")
	}
}

func writeText(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// cors allows the origin, and answers for it when the browser only asks.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) (preflight bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(h.cfg.Origins) > 0 && !slices.Contains(h.cfg.Origins, origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "POST, GET, PUT, DELETE, PATCH, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Accept, Content-Type, Authorization")
	return true
}

// announce says that the operations API ends: RFC 9745 and RFC 8594.
func (h *Handler) announce(header http.Header, r *http.Request) {
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

// operation reads the body and runs what it asks for.
func (h *Handler) operation(w http.ResponseWriter, r *http.Request, by presented) {
	h.announce(w.Header(), r)
	if !acceptable(r) {
		h.fail(w, r, &failure{status: http.StatusNotAcceptable, layer: framework, message: notAcceptable})
		return
	}
	c := &call{ctx: r.Context(), r: r, by: by}
	if by.caller != nil {
		c.user = by.caller.Name
	}
	result, body, err := h.run(c)
	h.conclude(w, c, result, body, err)
}

// conclude answers an operation and tells who wants to know.
func (h *Handler) conclude(w http.ResponseWriter, c *call, result any, body []byte, err error) {
	r := c.r
	use := Use{UserAgent: r.UserAgent(), Status: h.finish(w, r, result, err)}
	if h.cfg.Observe != nil {
		use.User = c.user
		use.Operation, use.Client, use.Forwarded = h.describe(c, result)
		h.cfg.Observe(r.Context(), use)
	}
	if h.peer != nil && h.peer.Shadow && body != nil && c.op != nil && isTokenOperation(c.op.Name()) {
		h.peer.shadow(r, c.op.Name(), body, use.Status, shapeOf(result, err))
	}
}

// finish writes the one answer and returns its status.
func (h *Handler) finish(w http.ResponseWriter, r *http.Request, result any, err error) int {
	if f := (*failure)(nil); errors.As(err, &f) {
		h.fail(w, r, f)
		return f.status
	}
	if err != nil {
		f := dontKnow(err)
		h.fail(w, r, f)
		return f.status
	}
	if pass, ok := result.(*passOn); ok {
		return h.pass(w, r, pass)
	}
	h.succeed(w, result)
	return http.StatusOK
}

// run returns the answer to an operation, and its body when it was read to its end.
func (h *Handler) run(c *call) (result any, body []byte, err error) {
	kind, hasBody := bodyFormat(c.r)
	switch {
	case !hasBody:
		return nil, nil, &failure{
			status: http.StatusBadRequest, layer: framework,
			message: "Cannot read properties of undefined (reading 'operation')",
		}
	case kind == binaryFormat && h.forward != nil:
		// Only the upstream reads these formats. Whoever sends them says in the header who they are.
		if c.by.caller == nil {
			_, err := h.authorize(c.r, &Operation{}, c.by)
			return nil, nil, err
		}
		return &passOn{caller: *c.by.caller, body: c.r.Body, length: c.r.ContentLength}, nil, nil
	case kind == binaryFormat || kind == unsupported:
		return nil, nil, unsupportedType(c.r)
	case c.r.ContentLength > h.cfg.MaxBody && h.forward == nil:
		return nil, nil, tooLarge()
	}
	body, err = io.ReadAll(io.LimitReader(c.r.Body, h.cfg.MaxBody+1))
	switch {
	case err != nil && int64(len(body)) <= h.cfg.MaxBody:
		return nil, nil, &failure{status: http.StatusBadRequest, message: string(errNotUTF8), cause: err}
	case int64(len(body)) > h.cfg.MaxBody && kind == jsonFormat && h.forward != nil:
		result, err = h.stream(c, body)
		return result, nil, err
	case int64(len(body)) > h.cfg.MaxBody:
		return nil, nil, tooLarge()
	case kind == textFormat:
		return nil, nil, &failure{status: http.StatusBadRequest, layer: framework, message: noOperation}
	case len(body) == 0:
		return nil, nil, badRequest("Body cannot be empty when content-type is set to 'application/json'")
	}
	if c.op, err = ParseOperation(body); err != nil {
		return nil, nil, err
	}
	result, err = h.dispatch(c)
	if pass, ok := result.(*passOn); ok {
		pass.body, pass.length = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return result, body, err
}

func tooLarge() *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, message: "Request body is too large"}
}
