package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
	"github.com/opgrant/opgrant/storage"
)

// commandTimeout is how long a command waits for Redis. No request waits for a command, so it may be longer than in a server.
const commandTimeout = 10 * time.Second

// hintUninitialised tells what to do about storage.ErrUninitialised.
const hintUninitialised = server.HintUninitialised

// withServer runs a command that needs the store, and explains what to do when Redis does not answer or holds no store.
func (p *program) withServer(ctx context.Context, run func(context.Context, *opgrant.Server) error) error {
	return p.withStore(ctx, func(ctx context.Context, s *opgrant.Server) error {
		if err := s.Store.Ready(ctx); errors.Is(err, storage.ErrUninitialised) {
			return errors.New(hintUninitialised)
		} else if err != nil {
			return p.noAnswer(err)
		}
		return run(ctx, s)
	})
}

// withStoreToRead is withServer for a command that writes nothing.
func (p *program) withStoreToRead(ctx context.Context, run func(context.Context, *opgrant.Server) error) error {
	return p.withStore(ctx, func(ctx context.Context, s *opgrant.Server) error {
		status, err := s.Store.Status(ctx)
		switch {
		case err != nil:
			return p.noAnswer(err)
		case !status.Initialised:
			return errors.New(hintUninitialised)
		}
		return run(ctx, s)
	})
}

// noAnswer explains an unavailable Redis. Other errors stay as they are.
func (p *program) noAnswer(err error) error {
	if !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	return fmt.Errorf("redis at %s does not answer (--redis or OPGRANT_REDIS names another): %w", p.redisURL, err)
}

// withStore runs a command that does not need the store to be there.
func (p *program) withStore(ctx context.Context, run func(context.Context, *opgrant.Server) error) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	cfg.Redis.DialTimeout = max(cfg.Redis.DialTimeout, commandTimeout/2)
	cfg.Redis.Timeout = max(cfg.Redis.Timeout, commandTimeout/2)
	s, closeRedis, err := server.Open(cfg, commandTimeout)
	if err != nil {
		return err
	}
	defer closeRedis()
	p.redisURL = cfg.Redis.URL
	return run(ctx, s)
}

// notFoundAs names what does not exist. Other errors stay as they are.
func notFoundAs(err error, format string, args ...any) error {
	if server.IsNotFound(err) {
		return fmt.Errorf(format, args...)
	}
	return err
}
