package compat

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/binarymap"
	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// This file decides what is forwarded, and with which credentials: nothing whose caller has not been checked here.

// internalMembers are members by which old servers pass the caller on among their own functions. In a request they would name a
// caller that nobody has checked.
var internalMembers = []string{"hdb_user", "bypass_auth", "bypassAuth", "hdb_auth_header", "hdbAuthHeader", "parsed_sql_object"}

// nestedOperation is the member in which an export carries the operation whose result it exports. Old servers check the rights of
// the caller that it names, if it names one.
const nestedOperation = "search_operation"

// upstreamRequest is the result of an operation that the upstream answers.
type upstreamRequest struct {
	caller        Caller
	authorization string // by which the caller has proved here who it is; empty for login, and with Upstream.Authorization
	login         bool
	method, path  string
	contentType   string
	body          io.ReadCloser
	length        int64 // of the body; -1: unknown
	streamed      bool  // the body is still being received
}

// forwardBody returns the request for an operation whose whole body is in memory and whose caller is known.
func (h *Handler) forwardBody(c *call) (any, error) {
	if err := c.checkInternalMembers(); err != nil {
		return nil, err
	}
	if err := h.checkServiceAccount(*c.caller, c.op); err != nil {
		return nil, err
	}
	request, err := h.upstreamRequest(c, *c.caller, io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body)))
	if err != nil {
		return nil, err // and not a request that is nil, which would be a result
	}
	return request, nil
}

// forwardLargeBody returns the request for a large body, whose caller has to be in the header.
func (h *Handler) forwardLargeBody(c *call) (any, error) {
	caller, err := h.findCaller(c)
	if err != nil {
		return nil, err
	}
	c.user = caller.Name
	if h.upstream.Authorization != nil && !caller.SuperUser {
		return nil, forbidden("A body of this size is restricted to 'super_user' roles")
	}
	request, err := h.upstreamRequest(c, caller, c.large, c.r.ContentLength)
	if err != nil {
		return nil, err
	}
	request.streamed = true
	return request, nil
}

// forwardBinaryBody returns the request for a body in MessagePack or CBOR, of which only the top level is read. Operations that are
// answered here are answered in JSON only, and those that hold another operation are not read.
func (h *Handler) forwardBinaryBody(c *call) (any, error) {
	kind := strings.ToLower(c.r.Header["Content-Type"][0])
	read, contentType := binarymap.CBOR, "application/cbor"
	if !strings.HasPrefix(kind, contentType) {
		read, contentType = binarymap.MessagePack, "application/x-msgpack"
	}
	members, err := read(c.body)
	if err != nil {
		return nil, unsupportedMediaType(c.r)
	}
	texts := map[string]string{} // :: the members that are read
	for _, m := range members {
		switch {
		case m.Key == "operation", m.Text != "" && (m.Key == "username" || m.Key == "password"):
			texts[m.Key] = m.Text
		case m.Key == nestedOperation, m.Key == "__proto__", slices.Contains(internalMembers, m.Key):
			return nil, badRequest(strictjson.RefusedKey(m.Key).Error())
		}
	}
	name := texts["operation"]
	if name == "" || !h.forwarded(name) {
		return nil, unsupportedMediaType(c.r)
	}
	// From here on it is as in JSON: its name and password may be in the body.
	if c.op, err = parseOperation(encodeJSON(texts)); err != nil {
		return nil, err
	}
	if name == loginOperation {
		return h.forwardLogin(c)
	}
	caller, err := h.findCaller(c)
	if err != nil {
		return nil, err
	}
	c.user = caller.Name
	request, err := h.upstreamRequest(c, caller, io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body)))
	if err != nil {
		return nil, err
	}
	request.contentType = contentType
	return request, nil
}

// forwardLogin checks the name and password of login here, and then asks the upstream for a session. The body that it gets is
// made of what was checked, and nothing else goes along.
func (h *Handler) forwardLogin(c *call) (any, error) {
	name, validName := c.op.get("username").scalar()
	password, validPassword := c.op.get("password").scalar()
	if !validName || !validPassword || name == "" || password == "" {
		return nil, credentialError(callerBody, ErrInvalid)
	}
	caller, err := h.cfg.Authenticator.Password(c.ctx(), Credentials{name, password, c.r.RemoteAddr})
	if err != nil {
		return nil, credentialError(callerBody, err)
	}
	c.user = caller.Name
	body := encodeJSON(struct {
		Operation string `json:"operation"`
		Username  string `json:"username"`
		Password  string `json:"password"`
	}{loginOperation, name, password})
	return &upstreamRequest{
		caller: caller, login: true, method: http.MethodPost, path: "/", contentType: "application/json",
		body: io.NopCloser(bytes.NewReader(body)), length: int64(len(body)),
	}, nil
}

// forwardDescription answers GET /api/openapi/rest with the description of the databases of the upstream.
func (h *Handler) forwardDescription(w http.ResponseWriter, c *call) {
	caller := *c.credentials.caller
	request, err := h.upstreamRequest(c, caller, http.NoBody, 0)
	if h.upstream.Authorization != nil && !caller.SuperUser {
		err = forbidden("The description is restricted to 'super_user' roles")
	}
	if err != nil {
		h.writeError(w, c.r, asAPIError(err))
		return
	}
	request.method, request.path, request.contentType = c.r.Method, "/api/openapi/rest", ""
	h.report(c, request, h.forward(w, c.r, request))
}

// checkInternalMembers refuses a body that names a caller in the way of the old server's own functions.
func (c *call) checkInternalMembers() error {
	_, nested, _ := strictjson.Parse(c.op.get(nestedOperation).Raw)
	for _, m := range slices.Concat(c.op.members, nested) {
		if slices.Contains(internalMembers, m.Key) {
			return badRequest(strictjson.RefusedKey(m.Key).Error())
		}
	}
	return nil
}

// checkServiceAccount refuses what a caller may not do under the account of [Upstream].Authorization. The upstream cannot tell who
// the caller is, so its own checks are void: super users may do everything, and others what is listed.
func (h *Handler) checkServiceAccount(caller Caller, o *operation) error {
	if h.upstream.Authorization == nil || caller.SuperUser || o.name() == logoutOperation {
		return nil
	}
	names := []string{o.name()}
	if nested := o.get(nestedOperation); nested.Kind() != strictjson.Absent {
		_, members, err := strictjson.Parse(nested.Raw)
		if err != nil {
			return bodyError(err)
		}
		names = append(names, newOperation(members).name())
	}
	for _, name := range names {
		if caller.Role == "" || !slices.Contains(h.upstream.Operations, name) {
			return forbidden("Operation '" + name + "' is restricted to 'super_user' roles")
		}
	}
	return nil
}

func (h *Handler) upstreamRequest(c *call, caller Caller, body io.ReadCloser, length int64) (*upstreamRequest, error) {
	authorization := ""
	if h.upstream.Authorization == nil {
		var err error
		if authorization, err = c.ownAuthorization(); err != nil {
			return nil, err
		}
	}
	return &upstreamRequest{
		caller: caller, authorization: authorization, method: http.MethodPost, path: "/", contentType: "application/json",
		body: body, length: length,
	}, nil
}

// ownAuthorization is the Authorization header of the credentials that have proved the caller. There always is one: old servers
// can be set up to take every request without it, if it comes from the same machine, for one of a super user.
func (c *call) ownAuthorization() (string, error) {
	switch {
	case c.credentials.caller != nil && c.credentials.scheme == bearerScheme:
		return "Bearer " + c.credentials.token, nil
	case c.credentials.caller != nil:
		return "Basic " + c.credentials.encoded, nil
	}
	name, _ := c.op.get("username").scalar()
	password, _ := c.op.get("password").scalar()
	raw, ok := latin1(name + ":" + password)
	if !ok || strings.Contains(name, ":") {
		return "", badRequest("These credentials cannot be sent to the upstream server. Use a token")
	}
	return "Basic " + base64.StdEncoding.EncodeToString(raw), nil
}

// latin1 is the inverse of what atob does with bytes.
func latin1(s string) (raw []byte, ok bool) {
	for _, r := range s {
		if r > 0xff {
			return nil, false
		}
		raw = append(raw, byte(r)) // #nosec G115 -- at most 0xff
	}
	return raw, true
}
