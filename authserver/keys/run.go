package keys

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// Run keeps the set up to date until the context ends: it opens the set as soon as the store can be reached, loads changes by
// other replicas every Config.Reload, and begins rotations that are due. Errors are logged, and the loaded keys stay in use.
func (s *Set) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(s.config.Reload)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.maintain(ctx); err != nil && ctx.Err() == nil {
			log.Warn("signing keys not refreshed", "error", err)
		}
	}
}

func (s *Set) maintain(ctx context.Context) error {
	if !s.Loaded() {
		return s.Open(ctx)
	}
	if err := s.Load(ctx); err != nil {
		return err
	}
	if s.config.RotateEvery == 0 {
		return nil
	}
	for _, algorithm := range policy.Algorithms() {
		k, err := s.Signer(algorithm)
		if err != nil {
			return err
		}
		// Without the subtraction keys would change every RotateEvery plus Lead.
		if s.config.Now().Sub(k.Activates) >= s.config.RotateEvery-s.config.Lead {
			if _, err := s.Rotate(ctx, algorithm, false); err != nil {
				return err
			}
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
	defer close(r.done)
	defer func() { // no HTTP server recovers a panic of the store here, and it would end the process
		if broken := recover(); broken != nil {
			r.err = fosite.ErrTemporarilyUnavailable.WithWrap(fmt.Errorf("keys: panic: %v", broken))
		}
	}()
	r.err = s.Load(ctx)
}
