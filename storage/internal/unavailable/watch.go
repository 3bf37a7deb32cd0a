package unavailable

import (
	"context"
	"sync/atomic"
)

type watchKey struct{}

// Watch returns a context that remembers whether Note was given an unavailable error.
func Watch(ctx context.Context) context.Context {
	return context.WithValue(ctx, watchKey{}, new(atomic.Bool))
}

// Note remembers in the context that *err is marked as unavailable. It is deferred by the methods whose error fosite drops. It may
// be called after the request, by work that goes on in the background.
func Note(ctx context.Context, err *error) {
	if noted, ok := ctx.Value(watchKey{}).(*atomic.Bool); ok && Is(*err) {
		noted.Store(true)
	}
}

// Noted tells whether Note was called with an unavailable error. It is false in a context that Watch did not make.
func Noted(ctx context.Context) bool {
	noted, ok := ctx.Value(watchKey{}).(*atomic.Bool)
	return ok && noted.Load()
}
