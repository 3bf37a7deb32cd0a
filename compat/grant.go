package compat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The grants that operations become.
const (
	passwordGrant = "password"
	refreshGrant  = "refresh_token"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

	accessTokenType = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // the name of a type of token
)

// refreshExpired is the error_description by which a token endpoint tells an expired refresh token from a wrong one.
const refreshExpired = "The refresh token expired."

// verdicts maps the errors of a token endpoint (RFC 6749, section 5.2) to verdicts on the credentials that were sent. Every
// error that is not here means that the two servers do not understand each other, which is not the caller's fault.
var verdicts = map[string]error{
	"invalid_grant": ErrInvalid,
	"access_denied": ErrInvalid,
	"invalid_token": ErrInvalid,
}

// exchangeVerdicts are those of token exchange, which says so of a token that is not valid (RFC 8693, section 2.2.2).
var exchangeVerdicts = map[string]error{
	"invalid_grant":   ErrInvalid,
	"invalid_request": ErrInvalid,
	"access_denied":   ErrInvalid,
}

// grantAnswer is the answer of a token endpoint, success or error.
type grantAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`

	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// grant asks the token endpoint. Its errors are verdicts, a [failure], or a "don't know".
func (h *Handler) grant(ctx context.Context, r *http.Request, form url.Values) (grantAnswer, error) {
	form.Set("client_id", h.cfg.ClientID)
	if h.cfg.ClientSecret != "" {
		form.Set("client_secret", h.cfg.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.TokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return grantAnswer{}, fmt.Errorf("compat: ask for tokens: %w", err)
	}
	// Limits are counted by address, so the endpoint has to see the caller's.
	req.RemoteAddr, req.Host, req.TLS, req.RequestURI = r.RemoteAddr, r.Host, r.TLS, h.cfg.TokenPath
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "User-Agent", "X-Request-Id", "Traceparent"} {
		if values := r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")

	b := &buffer{header: http.Header{}}
	h.cfg.Token.ServeHTTP(b, req)
	return b.answer(form.Get("grant_type"))
}

// answer reads what the token endpoint wrote.
func (b *buffer) answer(grantType string) (grantAnswer, error) {
	retry := &RetryError{After: retryAfter(b.header)}
	switch {
	case b.status == http.StatusTooManyRequests:
		retry.Err = ErrThrottled
		return grantAnswer{}, retry
	case b.status >= http.StatusInternalServerError:
		retry.Err = fmt.Errorf("compat: token endpoint answers %d", b.status)
		return grantAnswer{}, retry
	case b.truncated:
		return grantAnswer{}, errors.New("compat: answer of token endpoint is too large")
	}
	var a grantAnswer
	if err := json.Unmarshal(b.body.Bytes(), &a); err != nil {
		return grantAnswer{}, fmt.Errorf("compat: token endpoint answers %d without JSON: %w", b.status, err)
	}
	if b.status == http.StatusOK && a.AccessToken != "" {
		return a, nil
	}
	if a.Error == "temporarily_unavailable" {
		retry.Err = errors.New("compat: token endpoint is temporarily unavailable")
		return grantAnswer{}, retry
	}
	err := fmt.Errorf("compat: token endpoint answers %d %s (%s)", b.status, a.Error, a.ErrorDescription)
	known := verdicts
	if grantType == exchangeGrant {
		known = exchangeVerdicts
	}
	if verdict, ok := known[a.Error]; ok {
		if a.ErrorDescription == refreshExpired {
			verdict = ErrExpired
		}
		return grantAnswer{}, fmt.Errorf("%w: %w", verdict, err)
	}
	switch a.Error {
	case "":
		return grantAnswer{}, err
	case "invalid_request":
		return grantAnswer{}, &failure{status: http.StatusBadRequest, message: cmp.Or(a.ErrorDescription, "Invalid request"), cause: err}
	}
	return grantAnswer{}, &failure{status: http.StatusInternalServerError, message: internalError, cause: err}
}

// retryAfter reads the header's first form (RFC 9110, section 10.2.3), the only one that token endpoints use.
func retryAfter(header http.Header) time.Duration {
	n, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || n < 0 || n > 86400 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxAnswer bounds what is kept of the token endpoint's answer.
const maxAnswer = 1 << 20

// buffer is a ResponseWriter that keeps the answer of the token endpoint.
type buffer struct {
	header    http.Header
	status    int
	body      bytes.Buffer
	truncated bool
}

var (
	_ http.ResponseWriter = (*buffer)(nil)
	_ io.Writer           = (*buffer)(nil)
)

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if b.status == 0 && status >= http.StatusOK {
		b.status = status
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if b.body.Len()+len(p) > maxAnswer {
		b.truncated = true
		return len(p), nil
	}
	return b.body.Write(p)
}
