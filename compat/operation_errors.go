package compat

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// errorShape says how an error is written. Each part of the recorded server has its own headers and body.
type errorShape int

const (
	// operationShape is that of operations: {"error":…}, application/json, Vary: Origin.
	operationShape errorShape = iota
	// headerShape is that of the check of the Authorization header: {"error":…} without a content type.
	headerShape
	// frameworkShape is that of the web framework: {"statusCode":…,"error":…,"message":…}, application/json; charset=utf-8,
	// Vary: Origin.
	frameworkShape
	// textShape is text without a content type.
	textShape
	// protocolShape is that of the HTTP parser, for a request that does not reach its end: nothing but a status.
	protocolShape
)

// apiError is an answer that is not a success. It is returned as an error and written in one place, writeError.
type apiError struct {
	status     int
	shape      errorShape
	message    string
	body       any           // in place of {"error": message}
	retryAfter time.Duration // 0: no Retry-After
	unread     bool          // a part of the body was left unread: the answer does not wait for it, and ends the connection
	cause      error         // for the log, never for the caller
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) Unwrap() error { return e.cause }

// credentialSource is where the credentials of a request were.
type credentialSource int

const (
	basicHeader  credentialSource = iota // Authorization: Basic
	bearerHeader                         // Authorization: Bearer
	callerBody                           // username and password in the body of an operation that needs a caller
	createBody                           // username and password in the body of create_authentication_tokens
	refreshBody                          // refresh_token in the body of refresh_operation_token
)

// credentialAnswer is the answer to credentials that were refused.
type credentialAnswer struct {
	status  int
	shape   errorShape
	message string
}

// credentialAnswers are the answers by the source of the credentials and by the error of an [Authenticator] or of the token
// endpoint. An error that is missing is answered as ErrInvalid.
var credentialAnswers = map[credentialSource]map[error]credentialAnswer{
	basicHeader: {
		ErrInvalid:  {http.StatusUnauthorized, headerShape, loginFailedText},
		ErrInactive: {http.StatusUnauthorized, headerShape, userInactiveText},
	},
	bearerHeader: {
		ErrInvalid: {http.StatusUnauthorized, headerShape, invalidTokenText},
		ErrExpired: {http.StatusUnauthorized, operationShape, tokenExpiredText},
	},
	callerBody: {
		ErrInvalid:  {http.StatusUnauthorized, operationShape, loginFailedText},
		ErrInactive: {http.StatusUnauthorized, operationShape, userInactiveText},
	},
	createBody: {
		ErrInvalid: {http.StatusUnauthorized, operationShape, invalidCredentialsText},
	},
	refreshBody: {
		ErrInvalid: {http.StatusUnauthorized, operationShape, invalidTokenText},
		ErrExpired: {http.StatusForbidden, operationShape, tokenExpiredText},
	},
}

// refused tells whether an error refuses the credentials. Every other error leaves open whether they are valid.
func refused(err error) bool {
	return errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) || errors.Is(err, ErrInactive)
}

// credentialError is the answer to an error about credentials.
func credentialError(source credentialSource, err error) *apiError {
	if own := (*apiError)(nil); errors.As(err, &own) {
		return own
	}
	for _, refusal := range []error{ErrInvalid, ErrExpired, ErrInactive} {
		if !errors.Is(err, refusal) {
			continue
		}
		answer, ok := credentialAnswers[source][refusal]
		if !ok {
			answer = credentialAnswers[source][ErrInvalid]
		}
		return &apiError{status: answer.status, shape: answer.shape, message: answer.message, cause: err}
	}
	return unavailable(err)
}

// defaultRetryAfter is sent when an error does not say when to ask again.
const defaultRetryAfter = time.Second

// unavailable is the answer when it cannot be found out whether the credentials are valid. It is never a 4xx other than 429: clients
// discard their tokens on a 401.
func unavailable(err error) *apiError {
	e := &apiError{status: http.StatusServiceUnavailable, message: unavailableText, retryAfter: defaultRetryAfter, cause: err}
	if errors.Is(err, ErrThrottled) {
		e.status, e.message = http.StatusTooManyRequests, throttledText
	}
	if r := (*RetryError)(nil); errors.As(err, &r) && r.After > 0 {
		e.retryAfter = r.After
	}
	return e
}

// asAPIError is the answer to any error.
func asAPIError(err error) *apiError {
	if own := (*apiError)(nil); errors.As(err, &own) {
		return own
	}
	return unavailable(err)
}

// incompleteBody is the answer to a body that ends before its length, or that does not arrive in time.
func incompleteBody(err error) *apiError {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &apiError{status: http.StatusRequestTimeout, shape: protocolShape, cause: err}
	}
	return &apiError{status: http.StatusBadRequest, shape: protocolShape, cause: err}
}

func badRequest(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, message: message}
}

func unauthorized(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, message: message}
}

func notFound(message string) *apiError {
	return &apiError{status: http.StatusNotFound, message: message}
}

func conflict(message string) *apiError {
	return &apiError{status: http.StatusConflict, message: message}
}

func frameworkError(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, shape: frameworkShape, message: message}
}

// forbiddenBody is the recorded shape of a refused permission.
type forbiddenBody struct {
	Error        string   `json:"error"`
	Unauthorized []string `json:"unauthorized_access"`
	Invalid      []string `json:"invalid_schema_items"`
}

func forbidden(reason string) *apiError {
	return &apiError{status: http.StatusForbidden, message: reason, body: forbiddenBody{
		Error:        "This operation is not authorized due to role restrictions and/or invalid database items",
		Unauthorized: []string{reason},
		Invalid:      []string{},
	}}
}
