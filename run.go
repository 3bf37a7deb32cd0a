package opgrant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ory/fosite"
)

// ErrStarting is the answer of Ready before Run has opened the signing keys and prepared the store. The error also wraps what
// Run waits for, such as storage.ErrUninitialised.
var ErrStarting = fmt.Errorf("opgrant: still starting: %w", fosite.ErrTemporarilyUnavailable)

// retryEvery is how long Run waits before it asks an unavailable Redis again.
const retryEvery = 500 * time.Millisecond

// Ready returns nil when requests can be answered: Run has finished its preparations, and Redis accepts writes. It takes one
// round trip, and is meant for a health check.
func (s *Server) Ready(ctx context.Context) error {
	select {
	case <-s.started:
		return s.Store.Ready(ctx)
	default:
		if cause := s.waiting.Load(); cause != nil {
			return errors.Join(ErrStarting, *cause)
		}
		return ErrStarting
	}
}

// Started is closed when Run has finished its preparations.
func (s *Server) Started() <-chan struct{} { return s.started }

// Run waits for Redis, prepares the store and opens the signing keys, creating them in an empty store. Then it keeps the keys
// up to date and writes usage counts to Redis until ctx ends, and returns nil. It returns an error when the preparation fails
// for another reason than an unavailable Redis. Call it once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	// Before the start: requests may be answered, and counted, as soon as the keys are open.
	s.background(ctx, &background, "usage counts", func() {
		if err := s.Usage.Run(ctx); err != nil {
			s.config.Log.Warn("the last usage counts are lost", "error", err)
		}
	})
	err := s.start(ctx)
	ended := ctx.Err() != nil
	if err == nil {
		close(s.started)
		s.background(ctx, &background, "kinds of password hashes", func() { s.countHashKinds(ctx) })
		s.Keys.Run(ctx, s.config.Log)
	}
	stop()
	background.Wait()
	if ended {
		return nil
	}
	return err
}

// background runs f, again after a panic: one of a hook of the Redis client, for example, would end the process, because no HTTP
// server recovers it here.
func (s *Server) background(ctx context.Context, group *sync.WaitGroup, what string, f func()) {
	guarded := func() (done bool) {
		defer func() {
			if cause := recover(); cause != nil {
				s.config.Log.ErrorContext(ctx, "panic in background work", "work", what, "panic", cause)
			}
		}()
		f()
		return true
	}
	group.Go(func() {
		for !guarded() && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(retryEvery):
			}
		}
	})
}

// countHashKinds keeps the list of the kinds of password hashes, on which the cost of a refused login depends.
func (s *Server) countHashKinds(ctx context.Context) {
	for {
		wait := 24 * time.Hour
		if err := s.Store.Users.CountHashKinds(ctx); err != nil && ctx.Err() == nil {
			s.config.Log.WarnContext(ctx, "kinds of password hashes not counted", "error", err)
			wait = time.Minute
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// start retries what needs Redis until it succeeds, or fails for a reason that waiting does not change.
func (s *Server) start(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		err := s.prepare(ctx)
		if err == nil || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			return err
		}
		s.waiting.Store(&err)
		if attempt%10 == 0 {
			s.config.Log.Warn("waiting for Redis", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

func (s *Server) prepare(ctx context.Context) error {
	if err := s.Store.Ready(ctx); err != nil {
		return err
	}
	if s.config.Prepare != nil {
		if err := s.config.Prepare(ctx, s); err != nil {
			return err
		}
	}
	if s.Keys.Loaded() { // by Prepare
		return nil
	}
	return s.Keys.Open(ctx)
}
