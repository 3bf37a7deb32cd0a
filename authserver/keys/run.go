package keys

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// loadTimeout bounds one load by Run, however long the store waits: what another replica has revoked must be noticed soon.
const loadTimeout = 1500 * time.Millisecond

// complainEvery is how often Run logs an error that lasts.
const complainEvery = 30 * time.Second

// Run keeps the set up to date until the context ends: it opens the set as soon as the store can be reached, loads changes by
// other replicas every Config.Reload, and begins rotations that are due: every Config.RotateEvery, and before the last day of an
// imported key that signs. Errors are logged, and the loaded keys stay in use.
func (s *Set) Run(ctx context.Context, log *slog.Logger) {
	var both sync.WaitGroup
	// Apart, because it can take seconds to make an RSA key.
	both.Go(func() { s.every(ctx, log, "signing keys not loaded", s.follow) })
	both.Go(func() { s.every(ctx, log, "signing keys not rotated", s.rotateDue) })
	both.Wait()
}

func (s *Set) every(ctx context.Context, log *slog.Logger, failure string, do func(context.Context) error) {
	ticker := time.NewTicker(s.config.Reload)
	defer ticker.Stop()
	var complained time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch err := guarded(ctx, do); {
		case err == nil:
			complained = time.Time{}
		case ctx.Err() == nil && time.Since(complained) >= complainEvery:
			complained = time.Now()
			log.Warn(failure, "error", err)
		}
	}
}

// guarded returns a panic of the store as an error: no HTTP server recovers it in a goroutine of the set, and it would end the
// process.
func guarded(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fosite.ErrTemporarilyUnavailable.WithWrap(fmt.Errorf("keys: panic: %v", broken))
		}
	}()
	return do(ctx)
}

// follow loads the keys. It opens the set where that has not been done, and where the store has lost revocations that this
// process knows: Open writes them again.
func (s *Set) follow(ctx context.Context) error {
	if !s.Loaded() {
		return s.Open(ctx)
	}
	loading, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if err := s.Load(loading); err != nil {
		return err
	}
	if s.current.Load().incomplete {
		return s.Open(ctx)
	}
	return nil
}

func (s *Set) rotateDue(ctx context.Context) error {
	c := s.current.Load()
	if c == nil {
		return nil
	}
	now := s.config.Now()
	for _, algorithm := range policy.Algorithms() {
		k := s.signer(c.keys, algorithm, now)
		if k == nil {
			return s.Open(ctx)
		}
		// Without the subtraction keys would change every RotateEvery plus Lead.
		due := s.config.RotateEvery > 0 && now.Sub(k.Activates) >= s.config.RotateEvery-s.config.Lead ||
			k.Imported && !now.Before(s.lastDay(k).Add(-s.config.Lead))
		if !due || staged(c.keys, algorithm, now) != nil {
			continue
		}
		if _, err := s.Rotate(ctx, algorithm, false); err != nil {
			return err
		}
	}
	return nil
}

// refresh is one reload that several callers wait for.
type refresh struct {
	done chan struct{}
	err  error
}

// Refresh loads the keys again, for a token whose kid is unknown. It returns after a load that began after the call: only then
// is it certain that there is no such key. Concurrent callers share one load, and there is at most one every
// Config.RefreshEvery. If ctx ends first, the error wraps fosite.ErrTemporarilyUnavailable.
func (s *Set) Refresh(ctx context.Context) error {
	s.refreshing.Lock()
	r := s.refresh
	if r == nil {
		r = &refresh{done: make(chan struct{})}
		s.refresh = r
		time.AfterFunc(max(0, s.config.RefreshEvery-time.Since(s.refreshed)), s.runRefresh)
	}
	s.refreshing.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fosite.ErrTemporarilyUnavailable.WithWrap(ctx.Err())
	}
}

func (s *Set) runRefresh() {
	s.refreshing.Lock()
	r := s.refresh
	s.refresh, s.refreshed = nil, time.Now()
	s.refreshing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // not of one caller: others wait too
	defer cancel()
	r.err = guarded(ctx, s.Load)
	close(r.done)
}
