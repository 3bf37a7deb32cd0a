package compat

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// create answers create_authentication_tokens: a login, or new tokens for the caller of the request.
func (h *Handler) create(c *call) (any, error) {
	user, password := c.op.get("username"), c.op.get("password")
	byHeader := !user.truthy() && !password.truthy()
	if byHeader {
		if err := c.identify(h); err != nil {
			return nil, err
		}
	}
	if problem := checkCreate(c.op); problem != "" {
		return nil, badRequest(problem)
	}
	form := url.Values{}
	if role := c.op.get("role").text(); role != "" {
		form.Set("role", role)
	}
	var badLifetime string
	if v := c.op.get("expires_in"); v.kind() != absent {
		seconds, problem := lifetime(v)
		badLifetime = problem
		form.Set("expires_in", strconv.FormatInt(seconds, 10))
	}
	if byHeader {
		if badLifetime != "" {
			return nil, badRequest(badLifetime)
		}
		return h.createForCaller(c, form)
	}
	if user.kind() == absent || password.kind() == absent {
		return nil, refuse(inBodyCreate, ErrInvalid)
	}
	c.user = user.text()
	if badLifetime != "" {
		// The recorded server looks at the password first: a stranger learns nothing from the other answer.
		if h.cfg.Authenticator != nil {
			if _, err := h.verify(c.ctx, Credentials{user.text(), password.text(), c.r.RemoteAddr}); err != nil {
				return nil, refuse(inBodyCreate, err)
			}
		}
		return nil, badRequest(badLifetime)
	}
	answer, err := h.login(c, form, user.text(), password.text())
	if err != nil {
		return nil, refuse(inBodyCreate, err)
	}
	return tokens{answer.AccessToken, answer.RefreshToken}, nil
}

// createForCaller asks for tokens with what the Authorization header proves.
func (h *Handler) createForCaller(c *call, form url.Values) (any, error) {
	var answer grantAnswer
	var err error
	at := inHeaderBasic
	if c.by.scheme == bearerScheme {
		at = inHeaderBearer
		form.Set("grant_type", exchangeGrant)
		form.Set("subject_token", c.by.token)
		form.Set("subject_token_type", accessTokenType)
		answer, err = h.grant(c.ctx, c.r, form)
	} else {
		c.user = c.by.name
		answer, err = h.login(c, form, c.by.name, c.by.password)
	}
	if err != nil {
		return nil, refuse(at, err)
	}
	return tokens{answer.AccessToken, answer.RefreshToken}, nil
}

// login asks for tokens with a password, and once more when the upstream knew a user that was unknown here.
func (h *Handler) login(c *call, form url.Values, name, password string) (grantAnswer, error) {
	form.Set("grant_type", passwordGrant)
	form.Set("username", name)
	form.Set("password", password)
	answer, err := h.grant(c.ctx, c.r, form)
	if !errors.Is(err, ErrInvalid) {
		return answer, err
	}
	switch imported, importErr := h.migrate(c.ctx, name, password); {
	case importErr != nil:
		return grantAnswer{}, importErr
	case imported:
		return h.grant(c.ctx, c.r, form)
	}
	return grantAnswer{}, err
}

// refresh answers refresh_operation_token. A refresh token in the header wins over one in the body, and either is all it
// takes.
func (h *Handler) refresh(c *call) (any, error) {
	if c.by.scheme == bearerScheme && (c.by.kind == RefreshToken || h.cfg.Authenticator == nil && c.by.token != "") {
		answer, err := h.renew(c, c.by.token)
		if err != nil {
			return nil, refuse(inHeaderBearer, err)
		}
		return answer, nil
	}
	token := c.op.get("refresh_token")
	if !c.anonymous() || token.kind() == absent {
		if err := c.identify(h); err != nil {
			return nil, err
		}
		if err := c.mayCall(); err != nil {
			return nil, err
		}
	}
	switch {
	case token.kind() == absent:
		return nil, badRequest("'refresh_token' is required")
	case token.kind() != text:
		return nil, badRequest("'refresh_token' must be a string")
	case token.empty():
		return nil, badRequest("'refresh_token' is not allowed to be empty")
	}
	answer, err := h.renew(c, token.text())
	if errors.Is(err, ErrInvalid) && h.expired(c.ctx, token.text()) {
		err = ErrExpired
	}
	if err != nil {
		return nil, refuse(inBodyRefresh, err)
	}
	return answer, nil
}

// renew asks for a new access token. A refresh token comes back only from an endpoint that rotates them.
func (h *Handler) renew(c *call, token string) (tokens, error) {
	answer, err := h.grant(c.ctx, c.r, url.Values{"grant_type": {refreshGrant}, "refresh_token": {token}})
	if err != nil {
		return tokens{}, err
	}
	if answer.RefreshToken == token {
		answer.RefreshToken = ""
	}
	if name, _, ok := claims(answer.AccessToken); ok && c.user == "" {
		c.user = name // a refresh token in the body names nobody; the token made of it may
	}
	return tokens{answer.AccessToken, answer.RefreshToken}, nil
}

// expired tells whether a refused token has merely run out, whichever kind it is.
func (h *Handler) expired(ctx context.Context, token string) bool {
	if h.cfg.Authenticator == nil {
		return false
	}
	_, _, err := h.cfg.Authenticator.Token(ctx, token)
	return errors.Is(err, ErrExpired)
}

// checkCreate validates the members of create_authentication_tokens, all of them at once.
func checkCreate(o *Operation) string {
	var problems []string
	for _, key := range []string{"username", "password", "role"} {
		switch v := o.get(key); {
		case v.kind() == absent:
		case v.kind() != text:
			problems = append(problems, "'"+key+"' must be a string")
		case v.empty():
			problems = append(problems, "'"+key+"' is not allowed to be empty")
		}
	}
	if problem := checkLifetime(o.get("expires_in")); problem != "" {
		problems = append(problems, problem)
	}
	return strings.Join(problems, ". ")
}

// call is one operation on its way.
type call struct {
	ctx context.Context // of the request, with which the call ends
	r   *http.Request
	op  *Operation
	by  presented

	caller *Caller
	user   string // for the meter
}

// identify finds the caller, or says why there is none.
func (c *call) identify(h *Handler) error {
	if h.cfg.Authenticator == nil {
		if c.by.name == "" && c.by.password == "" && c.by.token == "" {
			return &failure{status: http.StatusUnauthorized, message: mustLogin}
		}
		return nil
	}
	caller, err := h.authorize(c.r, c.op, c.by)
	if err != nil {
		return err
	}
	c.caller, c.user = &caller, caller.Name
	return nil
}

// anonymous tells whether the request names nobody, neither in the header nor in the body.
func (c *call) anonymous() bool {
	inBody := c.op.get("username").truthy() && c.op.get("password").truthy()
	return c.by.scheme == noScheme && !inBody
}

// mayCall refuses callers without a role, who may do nothing but log in.
func (c *call) mayCall() error {
	if c.caller != nil && c.caller.Role == "" {
		return notAuthorized("User " + c.caller.Name + " has no role or permissions.  Please assign the user a valid role.")
	}
	return nil
}
