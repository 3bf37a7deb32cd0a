package fositehttp

import (
	"errors"
	"net/http"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
)

// refused is the answer to a token request that the store refused where fosite does not expect it to.
type refused struct {
	answer error
	wait   time.Duration // for Retry-After; 0: none
}

// errTooManyAttempts is the answer to policy.TooManyAttempts, as package authserver gives it.
var errTooManyAttempts = &fosite.RFC6749Error{
	ErrorField:       fosite.ErrTemporarilyUnavailable.ErrorField,
	DescriptionField: "Too many attempts have failed. Try again later.",
	CodeField:        http.StatusTooManyRequests,
}

// lost are the errors of a store by which a token request loses against another one, or against the end of its code, session,
// user or client, after fosite has checked them.
var lost = []error{
	fosite.ErrSerializationFailure, fosite.ErrInvalidatedAuthorizeCode, fosite.ErrInactiveToken, fosite.ErrNotFound, fosite.ErrJTIKnown,
}

// refusal returns what to answer in place of fosite, or nil where fosite's answer is right. The error must not be one of
// unavailability.
//
// fosite takes what a store refuses at the last moment for an error of the server (500), passes it on as it is (404, 409), or tells
// the client to retry (400 invalid_request). A retry with a refresh token that was used ends the session.
func refusal(err error) *refused {
	var tooMany policy.TooManyAttempts
	if errors.As(err, &tooMany) {
		return &refused{answer: errTooManyAttempts, wait: max(tooMany.RetryAfter, time.Second)}
	}
	if err == nil || !unexpected(fosite.ErrorToRFC6749Error(err)) {
		return nil
	}
	for _, target := range lost {
		if errors.Is(err, target) {
			return &refused{answer: fosite.ErrInvalidGrant}
		}
	}
	return nil
}

// unexpected tells whether fosite's answer is one that it also gives to errors of a store that it has no case for.
func unexpected(answer *fosite.RFC6749Error) bool {
	switch answer.CodeField {
	case http.StatusInternalServerError, http.StatusNotFound, http.StatusConflict:
		return true
	}
	return answer.ErrorField == fosite.ErrInvalidRequest.ErrorField
}
