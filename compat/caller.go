package compat

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// scheme is the part of an Authorization header before its first space, told apart by letter case.
type scheme int

const (
	noScheme scheme = iota // no header, or one that the recorded server does not look at
	basicScheme
	bearerScheme
)

// presented is what the Authorization header of a request says, as far as it has been checked.
type presented struct {
	scheme   scheme
	caller   *Caller // nil: nobody is known yet
	name     string  // Basic
	password string
	token    string // Bearer
	kind     TokenKind
	expired  bool
}

// header checks the Authorization header before anything else is read: what is checked and fails ends the request, whatever
// the body says. An expired operation token and a refresh token pass, and so does what names nobody.
func (h *Handler) header(r *http.Request) (presented, *failure) {
	authorization := r.Header.Get("Authorization")
	word, credentials, spaced := strings.Cut(authorization, " ")
	switch {
	case word == "Basic" && spaced:
		return h.basic(r, credentials)
	case word == "Bearer" && spaced:
		return h.bearer(r, credentials)
	case word == "Basic":
		return presented{scheme: basicScheme}, nil
	case word == "Bearer":
		return presented{scheme: bearerScheme}, nil
	}
	return presented{}, nil
}

func (h *Handler) basic(r *http.Request, credentials string) (presented, *failure) {
	decoded, problem := atob(credentials)
	if problem != "" {
		return presented{}, &failure{status: http.StatusUnauthorized, layer: outer, message: problem}
	}
	name, password, ok := strings.Cut(decoded, ":")
	switch {
	case !ok:
		return presented{}, refuse(inHeaderBasic, ErrInvalid)
	case name == "" && password == "":
		return presented{scheme: basicScheme}, nil
	}
	p := presented{scheme: basicScheme, name: name, password: password}
	if h.cfg.Authenticator == nil {
		return p, nil
	}
	caller, err := h.verify(r.Context(), Credentials{name, password, r.RemoteAddr})
	if err != nil {
		return p, refuse(inHeaderBasic, err)
	}
	p.caller = &caller
	return p, nil
}

func (h *Handler) bearer(r *http.Request, token string) (presented, *failure) {
	p := presented{scheme: bearerScheme, token: token}
	if h.cfg.Authenticator == nil {
		return p, nil
	}
	caller, kind, err := h.cfg.Authenticator.Token(r.Context(), token)
	switch {
	case errors.Is(err, ErrExpired):
		p.expired = true
	case err != nil:
		return p, refuse(inHeaderBearer, err)
	case kind == OperationToken:
		p.caller, p.kind = &caller, kind
	default:
		p.kind = kind
	}
	return p, nil
}

// authorize returns the caller of an operation that needs one.
func (h *Handler) authorize(r *http.Request, o *Operation, p presented) (Caller, error) {
	if p.caller != nil {
		return *p.caller, nil
	}
	switch {
	case p.scheme == basicScheme:
		return Caller{}, &failure{status: http.StatusUnauthorized, message: mustLogin}
	case p.scheme == bearerScheme && p.expired:
		return Caller{}, &failure{status: http.StatusUnauthorized, message: tokenExpired}
	case p.scheme == bearerScheme:
		return Caller{}, &failure{status: http.StatusUnauthorized, message: invalidToken}
	}
	user, password := o.get("username"), o.get("password")
	if !user.truthy() || !password.truthy() || h.cfg.Authenticator == nil {
		return Caller{}, &failure{status: http.StatusUnauthorized, message: mustLogin}
	}
	name, ok := user.name()
	word, good := password.name()
	if !ok || !good {
		return Caller{}, refuse(inBodyLogin, ErrInvalid)
	}
	caller, err := h.verify(r.Context(), Credentials{name, word, r.RemoteAddr})
	if err != nil {
		return Caller{}, refuse(inBodyLogin, err)
	}
	return caller, nil
}

// verify checks a password here, and with the upstream when the user is unknown here.
func (h *Handler) verify(ctx context.Context, c Credentials) (Caller, error) {
	caller, err := h.cfg.Authenticator.Password(ctx, c)
	if !errors.Is(err, ErrInvalid) {
		return caller, err
	}
	switch imported, importErr := h.migrate(ctx, c.Name, c.Password); {
	case importErr != nil:
		return Caller{}, importErr
	case imported:
		return h.cfg.Authenticator.Password(ctx, c)
	}
	return Caller{}, err
}
