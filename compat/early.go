package compat

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxEarly bounds the bodies that are looked at before the header has been checked.
const maxEarly = 4096

// renewAtOnce answers what most requests of old clients are: refresh_operation_token with the refresh token as Bearer. The
// token endpoint checks that token anyway, so the Authenticator is spared the same work. Whatever is not answered with a new
// token goes the long way, which finds out why.
func (h *Handler) renewAtOnce(w http.ResponseWriter, r *http.Request) (answered bool) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	kind, _ := bodyFormat(r)
	if !bearer || h.cfg.Authenticator == nil || r.Method != http.MethodPost || r.URL.EscapedPath() != "/" ||
		kind != jsonFormat || r.ContentLength <= 0 || r.ContentLength > min(maxEarly, h.cfg.MaxBody) || !acceptable(r) {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	op, err := ParseOperation(body)
	if err != nil || op.Name() != refreshToken {
		return false
	}
	c := &call{ctx: r.Context(), r: r, op: op, by: presented{scheme: bearerScheme, token: token}}
	answer, err := h.renew(c, token)
	if errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) {
		return false
	}
	h.announce(w.Header(), r)
	if err != nil {
		err = refuse(inHeaderBearer, err)
	}
	h.conclude(w, c, answer, body, err)
	return true
}

// broken is the rest of a body that could not be read.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
