package server

import (
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
)

// Open returns the configured server for a command: its store, its keys (not loaded yet) and its token checks. It does not
// talk to Redis. Operations on the store may take as long as timeout.
func Open(cfg *config.Config, timeout time.Duration) (s *opgrant.Server, closeRedis func(), err error) {
	rdb, closeRedis, err := openRedis(cfg, false)
	if err != nil {
		return nil, nil, err
	}
	options := storageOptions(cfg)
	options.Timeout = timeout
	s, err = opgrant.New(opgrant.Config{
		Issuer:            issuerOf(cfg, cfg.Listen),
		Redis:             rdb,
		Storage:           options,
		Keys:              keysConfig(cfg.Keys),
		DisableOperations: true,
	})
	if err != nil {
		closeRedis()
		return nil, nil, err
	}
	return s, closeRedis, nil
}

// openRedis connects to the configured Redis, or starts one in this process.
func openRedis(cfg *config.Config, embedded bool) (rdb redis.UniversalClient, stop func(), err error) {
	stopEmbedded := func() {}
	if embedded {
		address, stop, err := embeddedRedis()
		if err != nil {
			return nil, nil, err
		}
		cfg.Redis.URL, stopEmbedded = config.RedisURL(address), stop
	}
	options, err := redisOptions(cfg.Redis)
	if err != nil {
		stopEmbedded()
		return nil, nil, err
	}
	rdb = storage.Connect(*options)
	return rdb, func() {
		_ = rdb.Close()
		stopEmbedded()
	}, nil
}
