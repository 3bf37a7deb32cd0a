package compat

import (
	"context"
	"io"
	"net/http"
)

// call is one request. The later fields are filled in as the request is processed.
type call struct {
	r           *http.Request
	credentials credentials

	unread io.Reader // what has not been read of the body, counted by Config.MeterBody
	op     *operation
	body   []byte     // the whole body
	binary bool       // the body is in CBOR or MessagePack
	large  *largeBody // the body is larger than MaxBody
	caller *Caller    // of an operation that needs one; nil without an Authenticator
	user   string     // for OnOperation
	denied error      // why the token endpoint refused the Bearer token of refresh_operation_token
}

func (c *call) ctx() context.Context { return c.r.Context() }

// serveOperation answers POST /.
//
// A Bearer token is checked after the body has been read, because of refresh_operation_token: its token is nearly always a valid
// refresh token, and the token endpoint checks that anyway. Only if the endpoint refuses it, the Authenticator is asked what the
// token is, which saves the most frequent request of old clients a lookup. In any case an invalid token is answered before
// anything that is wrong with the body, as on the recorded server.
func (h *Handler) serveOperation(w http.ResponseWriter, c *call) {
	h.announceEnd(w.Header(), c.r)
	c.unread = c.r.Body
	if h.cfg.MeterBody != nil {
		metered, release := h.cfg.MeterBody(c.r.Body)
		defer release()
		c.unread = metered
	}
	decodeErr := h.decodeRequest(c)
	if decodeErr == nil && c.credentials.token != "" && c.op != nil && c.op.name() == refreshTokenOperation {
		result, err := h.requestWithRefreshToken(c, c.credentials.token)
		if !refused(err) {
			h.respond(w, c, result, err)
			return
		}
		c.denied = err
	}
	if err := h.checkBearer(c); err != nil {
		h.refuseHeader(w, c.r, err)
		return
	}
	if c.credentials.caller != nil {
		c.user = c.credentials.caller.Name
	}
	if decodeErr != nil {
		h.respond(w, c, nil, decodeErr)
		return
	}
	result, err := h.dispatch(c)
	h.respond(w, c, result, err)
}

// decodeRequest reads the operation from the body.
func (h *Handler) decodeRequest(c *call) error {
	if !acceptable(c.r) {
		return &apiError{status: http.StatusNotAcceptable, shape: frameworkShape, message: notAcceptableText}
	}
	format, hasBody := bodyFormat(c.r)
	switch {
	case !hasBody:
		return frameworkError(noBodyText)
	case format == binaryFormat && (h.upstream == nil || h.upstream.Authorization != nil), format == unsupportedFormat:
		return unsupportedMediaType(c.r)
	case c.r.ContentLength > h.cfg.MaxBody && h.upstream == nil:
		return tooLarge()
	}
	body, err := h.readBody(c)
	large := int64(len(body)) > h.cfg.MaxBody
	switch {
	case err != nil:
		return err
	case large && format == jsonFormat && h.upstream != nil:
		return h.decodeLargeBody(c, body)
	case large:
		return tooLarge()
	case format == textFormat:
		return frameworkError(noOperationText)
	case len(body) == 0:
		return badRequest(emptyBodyText)
	}
	c.body = body
	if c.binary = format == binaryFormat; c.binary {
		return nil
	}
	c.op, err = parseOperation(body)
	return err
}
