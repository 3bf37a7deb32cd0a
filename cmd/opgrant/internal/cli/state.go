package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/cmd/opgrant/internal/server"
)

// commandTimeout is how long a command waits for Redis. No request waits for a command, so it may be longer than in a server.
const commandTimeout = 10 * time.Second

// withServer runs a command that needs the store, and explains what to do when Redis does not answer.
func (p *program) withServer(ctx context.Context, run func(context.Context, *opgrant.Server) error) error {
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
	if err := s.Store.Ready(ctx); err != nil {
		return fmt.Errorf("redis at %s does not answer (--redis or OPGRANT_REDIS names another): %w", cfg.Redis.URL, err)
	}
	return run(ctx, s)
}

// notFoundAs names what does not exist. Other errors stay as they are.
func notFoundAs(err error, format string, args ...any) error {
	if server.IsNotFound(err) {
		return fmt.Errorf(format, args...)
	}
	return err
}
