package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/usage"
)

// state is the server's memory, as the server and the commands open it.
type state struct {
	rdb   redis.UniversalClient
	store *storage.Store
	keys  *keys.Set // not loaded yet
	meter *usage.Counter
}

// openState does not talk to Redis: a server may start before Redis does.
func openState(cfg *config.Config) (*state, error) { return openStateWith(cfg, storageOptions(cfg)) }

func openStateWith(cfg *config.Config, stored storage.Options) (*state, error) {
	options, err := redisOptions(cfg.Redis)
	if err != nil {
		return nil, err
	}
	rdb := storage.Connect(*options)
	store, err := storage.New(rdb, stored)
	if err != nil {
		_ = rdb.Close()
		return nil, err
	}
	set, err := keys.New(keys.Config{
		Store:       store.Keys,
		RSABits:     cfg.Keys.Bits,
		Lead:        cfg.Keys.Lead,
		MaxTokenTTL: cfg.Keys.MaxTokenTTL,
		RotateEvery: cfg.Keys.RotateEvery,
	})
	if err != nil {
		_ = rdb.Close()
		return nil, err
	}
	return &state{rdb: rdb, store: store, keys: set, meter: store.NewUsageCounter()}, nil
}

func (s *state) close() { _ = s.rdb.Close() }

func storageOptions(cfg *config.Config) storage.Options {
	return storage.Options{
		Prefix:          cfg.Redis.Prefix,
		Secret:          []byte(cfg.Secret),
		Replicas:        cfg.Durability.Replicas,
		ReplicaTimeout:  cfg.Durability.Timeout,
		CredentialCache: cfg.Compat.BasicCacheTTL,
		Password: policy.PasswordCosts{
			MemoryKiB:   cfg.Passwords.MemoryKiB,
			Iterations:  cfg.Passwords.Iterations,
			Parallelism: cfg.Passwords.Parallelism,
		},
	}
}

// patience is how long a command waits for Redis.
const patience = 10 * time.Second

// withState runs a command that needs the state, and tells people what to do when Redis is not there.
func (p *program) withState(ctx context.Context, run func(context.Context, *state) error) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	// Nobody's request hangs on a command, so it may wait for a slow Redis where a server would rather say so.
	cfg.Redis.DialTimeout = max(cfg.Redis.DialTimeout, patience/2)
	cfg.Redis.Timeout = max(cfg.Redis.Timeout, patience/2)
	options := storageOptions(cfg)
	options.Timeout = patience
	s, err := openStateWith(cfg, options)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.store.Ready(ctx); err != nil {
		return fmt.Errorf("redis at %s does not answer (--redis or OPGRANT_REDIS names another): %w", cfg.Redis.URL, err)
	}
	return run(ctx, s)
}
