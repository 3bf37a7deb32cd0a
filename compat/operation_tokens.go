package compat

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// createTokens answers create_authentication_tokens. Without a name and password in the body it issues tokens for the caller
// of the request.
func (h *Handler) createTokens(c *call) (any, error) {
	user, password := c.op.get("username"), c.op.get("password")
	forCaller := !user.truthy() && !password.truthy()
	if forCaller {
		if err := h.requireCaller(c); err != nil {
			return nil, err
		}
	}
	if problem := checkCreateTokens(c.op); problem != "" {
		return nil, badRequest(problem)
	}
	form := url.Values{}
	if role := c.op.get("role").Text(); role != "" {
		form.Set("role", role)
	}
	var badTTL string
	if v := c.op.get("expires_in"); v.Kind() != strictjson.Absent {
		seconds, problem := parseExpiresIn(v)
		badTTL = problem
		form.Set("expires_in", strconv.FormatInt(seconds, 10))
	}
	if forCaller {
		if badTTL != "" {
			return nil, badRequest(badTTL)
		}
		return h.createTokensForCaller(c, form)
	}
	if user.Kind() == strictjson.Absent || password.Kind() == strictjson.Absent {
		return nil, credentialError(createBody, ErrInvalid)
	}
	c.user = user.Text()
	if badTTL != "" {
		// The recorded server checks the password before expires_in, so the answer to a wrong password is the same.
		if h.cfg.Authenticator != nil {
			if _, err := h.cfg.Authenticator.Password(c.ctx(), Credentials{user.Text(), password.Text(), c.r.RemoteAddr}); err != nil {
				return nil, credentialError(createBody, err)
			}
		}
		return nil, badRequest(badTTL)
	}
	t, err := h.requestWithPassword(c, form, user.Text(), password.Text())
	if err != nil {
		return nil, credentialError(createBody, err)
	}
	return tokensBody{t.AccessToken, t.RefreshToken}, nil
}

// createTokensForCaller asks for tokens with the credentials of the Authorization header.
func (h *Handler) createTokensForCaller(c *call, form url.Values) (any, error) {
	var t tokenResponse
	var err error
	source := basicHeader
	if c.credentials.scheme == bearerScheme {
		source = bearerHeader
		form.Set("grant_type", exchangeGrant)
		form.Set("subject_token", c.credentials.token)
		form.Set("subject_token_type", accessTokenType)
		t, err = h.requestTokens(c.ctx(), c.r, form)
	} else {
		c.user = c.credentials.name
		t, err = h.requestWithPassword(c, form, c.credentials.name, c.credentials.password)
	}
	if err != nil {
		return nil, credentialError(source, err)
	}
	return tokensBody{t.AccessToken, t.RefreshToken}, nil
}

// requestWithPassword asks for tokens with a password.
func (h *Handler) requestWithPassword(c *call, form url.Values, name, password string) (tokenResponse, error) {
	form.Set("grant_type", passwordGrant)
	form.Set("username", name)
	form.Set("password", password)
	return h.requestTokens(c.ctx(), c.r, form)
}

// refreshToken answers refresh_operation_token. A refresh token in the header, which wins over one in the body, has already
// been tried by serveOperation.
func (h *Handler) refreshToken(c *call) (any, error) {
	if c.denied != nil && (c.credentials.kind == RefreshToken || h.cfg.Authenticator == nil) {
		return nil, credentialError(bearerHeader, c.denied)
	}
	token := c.op.get("refresh_token")
	if !c.anonymous() || token.Kind() == strictjson.Absent {
		if err := h.requireCaller(c); err != nil {
			return nil, err
		}
		if err := c.requireRole(); err != nil {
			return nil, err
		}
	}
	switch {
	case token.Kind() == strictjson.Absent:
		return nil, badRequest("'refresh_token' is required")
	case token.Kind() != strictjson.String:
		return nil, badRequest("'refresh_token' must be a string")
	case token.empty():
		return nil, badRequest("'refresh_token' is not allowed to be empty")
	}
	result, err := h.requestWithRefreshToken(c, token.Text())
	if errors.Is(err, ErrInvalid) && h.tokenExpired(c.ctx(), token.Text()) {
		err = ErrExpired
	}
	if err != nil {
		return nil, credentialError(refreshBody, err)
	}
	return result, nil
}

// requestWithRefreshToken asks for a new access token. The answer has a refresh token only if the endpoint has rotated it.
func (h *Handler) requestWithRefreshToken(c *call, token string) (any, error) {
	t, err := h.requestTokens(c.ctx(), c.r, url.Values{"grant_type": {refreshGrant}, "refresh_token": {token}})
	if err != nil {
		return nil, err
	}
	if t.RefreshToken == token {
		t.RefreshToken = ""
	}
	if claims, ok := readClaims(t.AccessToken); ok && c.user == "" {
		c.user = claims.username // the request itself does not name the user
	}
	return tokensBody{t.AccessToken, t.RefreshToken}, nil
}

// tokenExpired tells whether a refused token has expired, whichever kind it is.
func (h *Handler) tokenExpired(ctx context.Context, token string) bool {
	if h.cfg.Authenticator == nil {
		return false
	}
	_, _, err := h.cfg.Authenticator.Token(ctx, token)
	return errors.Is(err, ErrExpired)
}

// checkCreateTokens returns everything that is wrong with the members of create_authentication_tokens.
func checkCreateTokens(o *operation) string {
	var problems []string
	for _, key := range []string{"username", "password", "role"} {
		switch v := o.get(key); {
		case v.Kind() == strictjson.Absent:
		case v.Kind() != strictjson.String:
			problems = append(problems, "'"+key+"' must be a string")
		case v.empty():
			problems = append(problems, "'"+key+"' is not allowed to be empty")
		}
	}
	if problem := checkExpiresIn(o.get("expires_in")); problem != "" {
		problems = append(problems, problem)
	}
	return strings.Join(problems, ". ")
}
