package keys

import (
	"context"
	"log/slog"
	"time"
)

// Run keeps the set up to date until the context ends: it opens it as soon as the store can be reached, follows what other
// replicas do, and begins rotations that are due. Errors go to the log; the keys at hand stay in use.
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
	for _, algorithm := range []string{RS256, ES256, EdDSA} {
		k, err := s.Signer(algorithm)
		if err != nil {
			return err
		}
		// The lead is part of the age, so that keys change every RotateEvery, not RotateEvery and a lead.
		if s.config.Now().Sub(k.Activates) >= s.config.RotateEvery-s.config.Lead {
			if _, err := s.Rotate(ctx, algorithm, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Refresh asks the store once more for a kid that is not known, at most once a second however many tokens carry one.
func (s *Set) Refresh(ctx context.Context) {
	last := s.lastReload.Load()
	now := s.config.Now().UnixNano()
	if now-last < int64(time.Second) || !s.lastReload.CompareAndSwap(last, now) {
		return
	}
	_ = s.Load(ctx) // what is known stays known
}
