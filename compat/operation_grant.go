package compat

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The grants that the token operations ask for.
const (
	passwordGrant = "password"
	refreshGrant  = "refresh_token"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

	accessTokenType = "urn:ietf:params:oauth:token-type:access_token" // #nosec G101 -- the name of a token type
)

// refreshExpired is the error_description that tells an expired refresh token from an invalid one.
const refreshExpired = "The refresh token expired."

// grantErrors are the errors of a token endpoint (RFC 6749, section 5.2) that refuse the credentials in the request. Every
// other error means that this package and the endpoint do not fit together, which is not the caller's fault.
var grantErrors = map[string]error{
	"invalid_grant": ErrInvalid,
	"access_denied": ErrInvalid,
	"invalid_token": ErrInvalid,
}

// exchangeErrors are those of token exchange, where invalid_request refuses the subject token (RFC 8693, section 2.2.2).
var exchangeErrors = map[string]error{
	"invalid_grant":   ErrInvalid,
	"invalid_request": ErrInvalid,
	"access_denied":   ErrInvalid,
}

// tokenResponse is the answer of the token endpoint, successful or not.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`

	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// forwardedHeaders go along to the token endpoint: it counts failures by address, and both write to the same log.
var forwardedHeaders = []string{
	"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "User-Agent", "X-Request-Id", "Traceparent",
}

// requestTokens asks the token endpoint. The error is ErrInvalid or ErrExpired if the credentials are refused, an *apiError, or
// any other error if the endpoint is unavailable.
func (h *Handler) requestTokens(ctx context.Context, r *http.Request, form url.Values) (tokenResponse, error) {
	form.Set("client_id", h.cfg.ClientID)
	if h.cfg.ClientSecret != "" {
		form.Set("client_secret", h.cfg.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.TokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return tokenResponse{}, fmt.Errorf("compat: request tokens: %w", err)
	}
	req.RemoteAddr, req.Host, req.TLS, req.RequestURI = r.RemoteAddr, r.Host, r.TLS, h.cfg.TokenPath
	for _, name := range forwardedHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")

	recorder := &responseBuffer{header: http.Header{}}
	h.cfg.Token.ServeHTTP(recorder, req)
	return recorder.tokenResponse(form.Get("grant_type"))
}

// tokenResponse reads what the token endpoint has written.
func (b *responseBuffer) tokenResponse(grantType string) (tokenResponse, error) {
	retry := &RetryError{After: retryAfter(b.header)}
	switch {
	case b.status == http.StatusTooManyRequests:
		retry.Err = ErrThrottled
		return tokenResponse{}, retry
	case b.status >= http.StatusInternalServerError:
		retry.Err = fmt.Errorf("compat: token endpoint answers %d", b.status)
		return tokenResponse{}, retry
	case b.truncated:
		return tokenResponse{}, errors.New("compat: answer of token endpoint is too large")
	}
	var t tokenResponse
	if err := json.Unmarshal(b.body.Bytes(), &t); err != nil {
		return tokenResponse{}, fmt.Errorf("compat: token endpoint answers %d without JSON: %w", b.status, err)
	}
	if b.status == http.StatusOK && t.AccessToken != "" {
		return t, nil
	}
	if t.Error == "temporarily_unavailable" {
		retry.Err = errors.New("compat: token endpoint is temporarily unavailable")
		return tokenResponse{}, retry
	}
	return tokenResponse{}, t.err(b.status, grantType)
}

// err is the error of an answer without a token.
func (t tokenResponse) err(status int, grantType string) error {
	err := fmt.Errorf("compat: token endpoint answers %d %s (%s)", status, t.Error, t.ErrorDescription)
	refusals := grantErrors
	if grantType == exchangeGrant {
		refusals = exchangeErrors
	}
	if refusal, ok := refusals[t.Error]; ok {
		if t.ErrorDescription == refreshExpired {
			refusal = ErrExpired
		}
		return fmt.Errorf("%w: %w", refusal, err)
	}
	switch t.Error {
	case "":
		return err
	case "invalid_request":
		return &apiError{status: http.StatusBadRequest, message: cmp.Or(t.ErrorDescription, "Invalid request"), cause: err}
	}
	return &apiError{status: http.StatusInternalServerError, message: internalErrorText, cause: err}
}

// retryAfter reads the header's form in seconds (RFC 9110, section 10.2.3), the only one that token endpoints use.
func retryAfter(header http.Header) time.Duration {
	n, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || n < 0 || n > 86400 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxAnswer bounds what is read of an answer of the token endpoint or of the upstream.
const maxAnswer = 1 << 20

// responseBuffer is a ResponseWriter that keeps the answer of the token endpoint.
type responseBuffer struct {
	header    http.Header
	status    int
	body      bytes.Buffer
	truncated bool
}

var _ http.ResponseWriter = (*responseBuffer)(nil)

func (b *responseBuffer) Header() http.Header { return b.header }

func (b *responseBuffer) WriteHeader(status int) {
	if b.status == 0 && status >= http.StatusOK {
		b.status = status
	}
}

func (b *responseBuffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if b.body.Len()+len(p) > maxAnswer {
		b.truncated = true
		return len(p), nil
	}
	return b.body.Write(p)
}
