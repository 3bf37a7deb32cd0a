package authserver

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// oauthError is an error response of RFC 6749 section 5.2. The description is fixed text: it never repeats what the request
// said.
type oauthError struct {
	Status      int
	Code        string
	Description string
	RetryAfter  time.Duration
	Cause       error // for the log only
}

func (e *oauthError) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Description + ": " + e.Cause.Error()
	}
	return e.Code + ": " + e.Description
}

func (e *oauthError) Unwrap() error { return e.Cause }

// because sets the cause of a new error.
func (e *oauthError) because(cause error) *oauthError {
	e.Cause = cause
	return e
}

func invalidRequest(description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

func invalidGrant(description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: "invalid_grant", Description: description}
}

func invalidScope(description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: "invalid_scope", Description: description}
}

// methodNotAllowed has the status of RFC 9110 section 15.5.6 in the form of the other errors.
func methodNotAllowed(description string) *oauthError {
	return &oauthError{Status: http.StatusMethodNotAllowed, Code: "invalid_request", Description: description}
}

// invalidClient has one text for every client that is not authenticated, so that nobody learns which IDs exist.
func invalidClient(cause error) *oauthError {
	return &oauthError{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Client authentication failed.", Cause: cause}
}

// tooManyAttempts is the response to a password or a secret that is not compared, because too many were wrong.
func tooManyAttempts(wait time.Duration) *oauthError {
	return &oauthError{
		Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: max(wait, time.Second),
		Description: "Too many attempts have failed. Try again later.",
	}
}

const (
	expiredRefreshToken = "The refresh token expired."
	grantNotValid       = "The grant is not valid, expired, revoked, or was issued to another client."
)

// fositeErrors maps the errors of fosite's handlers, by their names. Any other error is a server_error.
var fositeErrors = map[string]oauthError{
	"invalid_request":        {Status: 400, Code: "invalid_request", Description: "The request is missing a parameter, or has one that is malformed."},
	"invalid_client":         {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"request_unauthorized":   {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"invalid_grant":          {Status: 400, Code: "invalid_grant", Description: grantNotValid},
	"unauthorized_client":    {Status: 400, Code: "unauthorized_client", Description: "The client may not use this grant type."},
	"unsupported_grant_type": {Status: 400, Code: "unsupported_grant_type", Description: "The server does not support this grant type."},
	"invalid_scope":          {Status: 400, Code: "invalid_scope", Description: "The scope is unknown, malformed, or more than was granted."},
	"scope_not_granted":      {Status: 400, Code: "invalid_scope", Description: "The scope is unknown, malformed, or more than was granted."},
	"jti_known":              {Status: 401, Code: "invalid_client", Description: "Client authentication failed."},
	"not_found":              {Status: 400, Code: "invalid_grant", Description: grantNotValid},
	"token_inactive":         {Status: 400, Code: "invalid_grant", Description: grantNotValid},
}

// errorResponse returns the error response for any error. An unavailable store is 503 with Retry-After however deep in the
// chain it is, because clients discard their tokens on a 4xx.
func errorResponse(err error) *oauthError {
	if isUnavailable(err) {
		return &oauthError{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
			Description: "The server cannot answer now. Nothing was decided; try again.",
			RetryAfter:  time.Duration(1+rand.IntN(3)) * time.Second, // #nosec G404 -- spreads the retries, no secret
			Cause:       err,
		}
	}
	var refused policy.TooManyAttempts
	if errors.As(err, &refused) {
		return tooManyAttempts(refused.RetryAfter)
	}
	var own *oauthError
	if errors.As(err, &own) {
		return own
	}
	var rfc *fosite.RFC6749Error
	if errors.As(err, &rfc) {
		if known, ok := fositeErrors[rfc.ErrorField]; ok {
			known.Cause = err
			if errors.Is(err, fosite.ErrTokenExpired) && known.Code == "invalid_grant" {
				known.Description = expiredRefreshToken
			}
			return &known
		}
	}
	return &oauthError{Status: http.StatusInternalServerError, Code: "server_error", Description: "The server met an error of its own.", Cause: err}
}

// isUnavailable tells whether the store could not answer.
func isUnavailable(err error) bool { return errors.Is(err, fosite.ErrTemporarilyUnavailable) }

// isNotFound tells whether the store answered that there is no such thing. An error that is both is unavailable.
func isNotFound(err error) bool { return errors.Is(err, fosite.ErrNotFound) && !isUnavailable(err) }
