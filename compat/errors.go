package compat

import (
	"errors"
	"net/http"
	"time"
)

// layer is the part of the recorded server that answers. Each has its own headers and shape of error.
type layer int

const (
	// inner: {"error":…}, application/json, vary: Origin.
	inner layer = iota
	// outer is what checks the Authorization header before anything else: {"error":…} without a content type.
	outer
	// framework: {"statusCode":…,"error":…,"message":…}, application/json; charset=utf-8, vary: Origin.
	framework
	// plain is text without a content type.
	plain
)

// failure is an answer that is not a success, carried as an error to the one place that writes it.
type failure struct {
	status  int
	layer   layer
	message string
	body    any           // in place of {"error": message}
	retry   time.Duration // 0: no Retry-After
	cause   error         // for the log, never for the caller
}

func (f *failure) Error() string { return f.message }

func (f *failure) Unwrap() error { return f.cause }

// The texts that clients compare with.
const (
	mustLogin          = "Must login"
	loginFailed        = "Login failed"
	invalidCredentials = "invalid credentials" //nolint:gosec // what is said about them
	invalidToken       = "invalid token"
	tokenExpired       = "token expired"
	userInactive       = "Cannot complete request: User is inactive"
	unavailable        = "Service unavailable, try again later"
	tooManyRequests    = "Too many failed attempts, try again later"
	internalError      = "There was an error processing your request. Check logs and try again."
)

// defaultRetry is sent when whoever does not know does not say when to ask again.
const defaultRetry = time.Second

// refusal says what one use of credentials or of a token answers when it is refused.
type refusal struct {
	status  int
	layer   layer
	message string
}

// refusals is the table of the verdicts of an [Authenticator]. The row is where the credentials stood.
//
// A verdict that a row leaves out cannot be told apart there from ErrInvalid.
var refusals = map[place]map[error]refusal{
	inHeaderBasic: {
		ErrInvalid:  {http.StatusUnauthorized, outer, loginFailed},
		ErrInactive: {http.StatusUnauthorized, outer, userInactive},
	},
	inHeaderBearer: {
		ErrInvalid: {http.StatusUnauthorized, outer, invalidToken},
		ErrExpired: {http.StatusUnauthorized, inner, tokenExpired},
	},
	inBodyLogin: {
		ErrInvalid:  {http.StatusUnauthorized, inner, loginFailed},
		ErrInactive: {http.StatusUnauthorized, inner, userInactive},
	},
	inBodyCreate: {
		ErrInvalid: {http.StatusUnauthorized, inner, invalidCredentials},
	},
	inBodyRefresh: {
		ErrInvalid: {http.StatusUnauthorized, inner, invalidToken},
		ErrExpired: {http.StatusForbidden, inner, tokenExpired},
	},
}

// place is where a request carries what identifies its caller.
type place int

const (
	inHeaderBasic  place = iota // Authorization: Basic
	inHeaderBearer              // Authorization: Bearer
	inBodyLogin                 // username and password in the body, of operations that need a caller
	inBodyCreate                // username and password in the body of create_authentication_tokens
	inBodyRefresh               // refresh_token in the body of refresh_operation_token
)

// refuse turns an error of an interface or of the token endpoint into the answer.
func refuse(at place, err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	for verdict, r := range refusals[at] {
		if errors.Is(err, verdict) {
			return &failure{status: r.status, layer: r.layer, message: r.message, cause: err}
		}
	}
	for _, verdict := range []error{ErrInvalid, ErrExpired, ErrInactive} {
		if errors.Is(err, verdict) {
			r := refusals[at][ErrInvalid]
			return &failure{status: r.status, layer: r.layer, message: r.message, cause: err}
		}
	}
	return dontKnow(err)
}

// dontKnow is the answer when nobody could say yes or no: never a 4xx but 429, because clients throw their tokens away on a
// verdict.
func dontKnow(err error) *failure {
	f := &failure{status: http.StatusServiceUnavailable, message: unavailable, retry: defaultRetry, cause: err}
	if errors.Is(err, ErrThrottled) {
		f.status, f.message = http.StatusTooManyRequests, tooManyRequests
	}
	var r *RetryError
	if errors.As(err, &r) && r.After > 0 {
		f.retry = r.After
	}
	return f
}

func badRequest(message string) *failure {
	return &failure{status: http.StatusBadRequest, message: message}
}

// forbidden is the recorded shape of a refused permission.
type forbidden struct {
	Error        string   `json:"error"`
	Unauthorized []string `json:"unauthorized_access"`
	Invalid      []string `json:"invalid_schema_items"`
}

func notAuthorized(reason string) *failure {
	return &failure{status: http.StatusForbidden, message: reason, body: forbidden{
		Error:        "This operation is not authorized due to role restrictions and/or invalid database items",
		Unauthorized: []string{reason},
		Invalid:      []string{},
	}}
}
