package fositehttp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Watch returns a context for one request, in which the store notes that it was unavailable. Pass it to fosite and to the
// functions of this package.
func Watch(ctx context.Context) context.Context { return unavailable.Watch(ctx) }

// Unavailable tells whether a request failed because the store was unavailable: errors.Is(err, fosite.ErrTemporarilyUnavailable)
// holds for its error, or the store was unavailable to a call with a context of Watch. It is false for a nil error. The functions
// of this package call it; a handler that writes its own answers, such as one of a resource, may use it too.
func Unavailable(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, fosite.ErrTemporarilyUnavailable) || unavailable.Noted(ctx))
}

// setRetryAfter sets Retry-After in whole seconds (RFC 9110 section 10.2.3), one at least.
func setRetryAfter(rw http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	rw.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// setSpreadRetryAfter sets a Retry-After of 1 to 3 s.
func setSpreadRetryAfter(rw http.ResponseWriter) {
	setRetryAfter(rw, time.Duration(1+rand.IntN(3))*time.Second) // #nosec G404 -- spreads the retries, no secret
}
