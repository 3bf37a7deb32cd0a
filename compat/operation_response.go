package compat

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/netip"
	"strconv"
)

// tokensBody is the answer to the two token operations.
type tokensBody struct {
	OperationToken string `json:"operation_token"`
	RefreshToken   string `json:"refresh_token,omitempty"`
}

// messageBody is the answer to operations that return no data.
type messageBody struct {
	Message string `json:"message"`
}

// errorBody is the shape of nearly every error.
type errorBody struct {
	Error string `json:"error"`
}

// frameworkBody is the shape of errors of the web framework of the recorded server.
type frameworkBody struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
}

// respond answers an operation and reports it to [Config].OnOperation and, in shadow mode, asks the upstream too.
func (h *Handler) respond(w http.ResponseWriter, c *call, result any, err error) {
	status := h.writeResult(w, c.r, result, err)
	h.report(c, result, status)
	if h.shadowed(c, status) {
		h.upstream.shadow(c, status, shapeOf(result, err))
	}
}

// report calls [Config].OnOperation.
func (h *Handler) report(c *call, result any, status int) {
	if h.cfg.OnOperation != nil {
		h.cfg.OnOperation(c.r.Context(), h.served(c, result, status))
	}
}

// served describes an operation that was answered. Names that neither this server nor the upstream knows are left out, since
// the caller can choose them.
func (h *Handler) served(c *call, result any, status int) OperationServed {
	_, forwarded := result.(*upstreamRequest)
	s := OperationServed{UserAgent: c.r.UserAgent(), Address: addressOf(c.r), Status: status, Forwarded: forwarded}
	s.User, s.Verified = c.servedUser(result)
	if c.op == nil {
		return s
	}
	name := c.op.name()
	if isTokenOperation(name) {
		s.Client = h.cfg.ClientID
	}
	if h.handledLocally(name) || forwarded && len(name) <= maxReportedName {
		s.Operation = name
	}
	return s
}

// servedUser is the caller of an operation that was answered, and whether that is proved: by the tokens that were issued, by
// credentials that were checked for the operation, or by those in the header.
func (c *call) servedUser(result any) (user string, verified bool) {
	_, issued := result.(tokensBody)
	request, forwarded := result.(*upstreamRequest)
	switch {
	case issued && c.user != "":
		return c.user, true
	case forwarded:
		return request.caller.Name, true
	case c.caller != nil:
		return c.caller.Name, true
	case c.credentials.caller != nil:
		return c.credentials.caller.Name, true
	}
	return c.user, false
}

// addressOf is the address of the client, without the port.
func addressOf(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return remote.Addr().Unmap().WithZone("").String()
}

// maxReportedName bounds the names of forwarded operations that are reported.
const maxReportedName = 64

// writeResult writes the result of an operation, or its error, and returns the status.
func (h *Handler) writeResult(w http.ResponseWriter, r *http.Request, result any, err error) int {
	if err != nil {
		e := asAPIError(err)
		h.writeError(w, r, e)
		return e.status
	}
	if forwarded, ok := result.(*upstreamRequest); ok {
		return h.forward(w, r, forwarded)
	}
	if _, ok := result.(tokensBody); ok {
		setNoStore(w.Header()) // RFC 6749, section 5.1
	}
	writeBody(w, http.StatusOK, operationShape, encodeJSON(result))
	return http.StatusOK
}

// writeError writes every error answer.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, e *apiError) {
	if e.cause != nil && e.status >= http.StatusInternalServerError && r.Context().Err() == nil { // the client has not gone
		h.log.ErrorContext(r.Context(), "operation failed", "status", e.status, "error", e.cause)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
		exposeRetryAfter(w.Header())
	}
	if e.unread {
		w.Header().Set("Connection", "close")
	}
	if e.status == http.StatusUnauthorized {
		// RFC 9110, section 15.5.2. It names Bearer and not Basic, because browsers ask for a password on the latter.
		w.Header().Set("WWW-Authenticate", `Bearer realm="operations"`)
		setNoStore(w.Header())
	}
	writeBody(w, e.status, e.shape, e.encode())
}

func setNoStore(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
}

func (e *apiError) encode() []byte {
	switch {
	case e.shape == protocolShape:
		return nil
	case e.shape == textShape:
		return []byte(e.message)
	case e.shape == frameworkShape:
		return encodeJSON(frameworkBody{e.status, http.StatusText(e.status), e.message})
	case e.body != nil:
		return encodeJSON(e.body)
	}
	return encodeJSON(errorBody{e.message})
}

// writeBody writes an answer with the headers of its shape.
func writeBody(w http.ResponseWriter, status int, shape errorShape, body []byte) {
	header := w.Header()
	switch shape {
	case operationShape:
		header.Set("Content-Type", "application/json")
		varyByOrigin(header)
	case frameworkShape:
		header.Set("Content-Type", "application/json; charset=utf-8")
		varyByOrigin(header)
	case protocolShape:
		header["Content-Type"] = nil
		header.Del("Server")
		header.Set("Connection", "close")
	default:
		header["Content-Type"] = nil // keeps net/http from guessing one
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client has gone
}

// encodeJSON encodes without the escapes for HTML that encoding/json adds and JavaScript does not.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Everything that is encoded here is made of strings, numbers and JSON that strictjson has accepted.
		panic("compat: encode answer: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
