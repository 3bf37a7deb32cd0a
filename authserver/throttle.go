package authserver

import (
	"context"
	"net/http"
	"time"

	"github.com/ory/fosite"
)

// Throttle limits failed logins by password. It is asked before a password is hashed. Its methods must be safe for
// concurrent use. An error of Reserve refuses the login; unavailable, if it wraps fosite.ErrTemporarilyUnavailable.
type Throttle interface {
	// Reserve counts an attempt as failed before it is made. A positive retryAfter refuses it with 429, because too many
	// attempts have failed for this user or from this address.
	Reserve(ctx context.Context, user, address string) (retryAfter time.Duration, err error)
	// Succeeded forgives a reserved attempt: the password was right.
	Succeeded(ctx context.Context, user, address string) error
	// Cancel takes a reserved attempt back: the password was not compared.
	Cancel(ctx context.Context, user, address string) error
}

// newAccessRequest is the type of fosite's NewAccessRequest.
type newAccessRequest func(ctx context.Context, r *http.Request, session fosite.Session) (fosite.AccessRequester, error)

// throttled is fosite's NewAccessRequest behind the throttle: too many failed attempts are refused before the password
// costs a hash.
func (s *Server) throttled(username, address string) newAccessRequest {
	return func(ctx context.Context, r *http.Request, session fosite.Session) (fosite.AccessRequester, error) {
		wait, err := s.config.Throttle.Reserve(ctx, username, address)
		if err != nil {
			return nil, err
		}
		if wait > 0 {
			return nil, &oauthError{
				Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: max(wait, time.Second),
				Description: "Too many attempts have failed. Try again later.",
			}
		}
		req, err := s.provider.NewAccessRequest(ctx, r, session)
		settle := s.config.Throttle.Succeeded
		if err != nil {
			if errorResponse(err).Code == "invalid_grant" {
				return req, err // wrong password: the attempt stays counted
			}
			settle = s.config.Throttle.Cancel
		}
		if err := settle(ctx, username, address); err != nil {
			s.config.Log.WarnContext(ctx, "login attempt still counted as failed", "error", err)
		}
		return req, err
	}
}
