package compat

import (
	"errors"
	"net/http"
	"strings"
)

// scheme is the part of an Authorization header before its first space. Letter case matters.
type scheme int

const (
	noScheme scheme = iota // no header, or one that the recorded server ignores
	basicScheme
	bearerScheme
)

// credentials are those of the Authorization header, and what checking them has shown.
type credentials struct {
	scheme   scheme
	encoded  string // Basic, as sent
	name     string // Basic
	password string // Basic
	token    string // Bearer

	checked bool      // the Bearer token has been checked, and refusal is the answer
	refusal error     // of the Bearer token
	caller  *Caller   // nil: not known (yet)
	kind    TokenKind // of a valid Bearer token
	expired bool      // the Bearer token has expired
}

// checkHeader reads the Authorization header and checks Basic credentials. An empty name with an empty password counts as none.
func (h *Handler) checkHeader(c *call) error {
	name, value, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	switch name {
	case "Basic":
		c.credentials.scheme = basicScheme
		return h.checkBasic(c, value)
	case "Bearer":
		c.credentials = credentials{scheme: bearerScheme, token: value}
	}
	return nil
}

func (h *Handler) checkBasic(c *call, encoded string) error {
	if encoded == "" {
		return nil
	}
	decoded, problem := atob(encoded)
	if problem != "" {
		return &apiError{status: http.StatusUnauthorized, shape: headerShape, message: problem}
	}
	name, password, ok := strings.Cut(decoded, ":")
	switch {
	case !ok:
		return credentialError(basicHeader, ErrInvalid)
	case name == "" && password == "":
		return nil
	}
	c.credentials.encoded, c.credentials.name, c.credentials.password = encoded, name, password
	if h.cfg.Authenticator == nil {
		return nil
	}
	caller, err := h.cfg.Authenticator.Password(c.ctx(), Credentials{name, password, c.r.RemoteAddr})
	if err != nil {
		return credentialError(basicHeader, err)
	}
	c.credentials.caller = &caller
	return nil
}

// checkBearer checks the Bearer token, if there is one, once for each request. It accepts expired tokens and refresh tokens, which
// name no caller: the operation decides about them.
func (h *Handler) checkBearer(c *call) error {
	if !c.credentials.checked {
		c.credentials.checked, c.credentials.refusal = true, h.askBearer(c)
	}
	return c.credentials.refusal
}

func (h *Handler) askBearer(c *call) error {
	if c.credentials.token == "" || h.cfg.Authenticator == nil {
		return nil
	}
	caller, kind, err := h.cfg.Authenticator.Token(c.ctx(), c.credentials.token)
	switch {
	case errors.Is(err, ErrExpired):
		c.credentials.expired = true
	case err != nil:
		return credentialError(bearerHeader, err)
	case kind == OperationToken:
		c.credentials.caller, c.credentials.kind = &caller, kind
	default:
		c.credentials.kind = kind
	}
	return nil
}

// requireCaller finds the caller of an operation that needs one. Without an Authenticator the token endpoint checks who it is,
// and any credentials do here.
func (h *Handler) requireCaller(c *call) error {
	if h.cfg.Authenticator == nil {
		if c.credentials.name == "" && c.credentials.password == "" && c.credentials.token == "" {
			return unauthorized(mustLoginText)
		}
		return nil
	}
	caller, err := h.findCaller(c)
	if err != nil {
		return err
	}
	c.caller, c.user = &caller, caller.Name
	return nil
}

// findCaller returns the caller that the header has proved, or else the one whose name and password are in the body.
func (h *Handler) findCaller(c *call) (Caller, error) {
	switch {
	case c.credentials.caller != nil:
		return *c.credentials.caller, nil
	case c.credentials.scheme == basicScheme:
		return Caller{}, unauthorized(mustLoginText)
	case c.credentials.expired:
		return Caller{}, unauthorized(tokenExpiredText)
	case c.credentials.scheme == bearerScheme:
		return Caller{}, unauthorized(invalidTokenText)
	case !c.namesCallerInBody():
		return Caller{}, unauthorized(mustLoginText)
	}
	name, validName := c.op.get("username").scalar()
	password, validPassword := c.op.get("password").scalar()
	if !validName || !validPassword {
		return Caller{}, credentialError(callerBody, ErrInvalid)
	}
	caller, err := h.cfg.Authenticator.Password(c.ctx(), Credentials{name, password, c.r.RemoteAddr})
	if err != nil {
		return Caller{}, credentialError(callerBody, err)
	}
	return caller, nil
}

func (c *call) namesCallerInBody() bool {
	return c.op != nil && c.op.get("username").truthy() && c.op.get("password").truthy()
}

// anonymous tells whether neither the header nor the body names a caller.
func (c *call) anonymous() bool {
	return c.credentials.scheme == noScheme && !c.namesCallerInBody()
}

// requireRole refuses callers without a role. They can only ask for tokens.
func (c *call) requireRole() error {
	if c.caller != nil && c.caller.Role == "" {
		return forbidden("User " + c.caller.Name + " has no role or permissions.  Please assign the user a valid role.")
	}
	return nil
}
