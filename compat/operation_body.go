package compat

import (
	"errors"
	"io"
)

// maxUnverifiedBody bounds the body, in bytes, of a request whose header does not prove its caller. It is enough for every
// operation that names its caller in the body, with the longest password and all characters escaped.
const maxUnverifiedBody = 256 << 10

// readBody reads the body, or its beginning of more than MaxBody bytes. It grows with what arrives: Content-Length is a promise.
func (h *Handler) readBody(c *call) ([]byte, error) {
	var body []byte
	if h.cfg.MaxBody > maxUnverifiedBody && c.credentials.caller == nil {
		if c.r.ContentLength <= maxUnverifiedBody {
			var err error
			body, err = readUpTo(c.unread, maxUnverifiedBody+1)
			if err != nil || len(body) <= maxUnverifiedBody {
				return body, err
			}
		}
		if err := h.mayBeLarge(c); err != nil {
			return nil, err
		}
	}
	rest, err := readUpTo(c.unread, h.cfg.MaxBody+1-int64(len(body)))
	if body == nil {
		return rest, err
	}
	return append(body, rest...), err
}

func readUpTo(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit))
	if err == nil {
		return body, nil
	}
	if retry := (*RetryError)(nil); errors.As(err, &retry) {
		e := unavailable(err)
		e.unread = true
		return nil, e
	}
	return nil, incompleteBody(err)
}

// mayBeLarge checks the Bearer token of a body larger than maxUnverifiedBody before the rest is read.
func (h *Handler) mayBeLarge(c *call) error {
	if err := h.checkBearer(c); err != nil {
		return err
	}
	switch {
	case c.credentials.caller != nil:
		return nil
	case c.credentials.expired:
		return unauthorized(tokenExpiredText)
	}
	return tooLarge()
}
