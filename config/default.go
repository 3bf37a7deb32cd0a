package config

import (
	"time"

	"github.com/opgrant/opgrant/authserver/policy"
)

// Default returns the configuration of a server for which nothing is set.
func Default() *Config {
	return &Config{
		Listen:      "127.0.0.1:9925", // the port of HarperDB, which its clients already use
		AdminListen: "127.0.0.1:9926",
		Log:         Log{Level: "info", Format: "json"},
		HTTP: HTTP{
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       time.Minute,
			DrainDelay:        5 * time.Second,
			ShutdownTimeout:   15 * time.Second,
			MaxConnections:    10_000,
			MaxHeaderBytes:    16 << 10,
			MaxBodyBytes:      1 << 20,
			BodyBudgetBytes:   32 << 20,
		},
		Redis: Redis{
			URL:         "redis://127.0.0.1:6379/0",
			Mode:        "auto",
			Prefix:      "opgrant:",
			DialTimeout: 500 * time.Millisecond,
			Timeout:     500 * time.Millisecond,
		},
		Durability: Durability{Mode: "default", Timeout: 100 * time.Millisecond},
		Assertions: Assertions{MaxTTL: policy.DefaultAssertionTTL, Audience: policy.AudienceEither},
		Keys: Keys{
			Bits:        2048,
			RotateEvery: 90 * 24 * time.Hour,
			Lead:        10 * time.Minute,
			MaxTokenTTL: 31 * 24 * time.Hour,
		},
		Passwords: Passwords{
			MemoryKiB:   19 << 10, // the OWASP floor for argon2id
			Iterations:  2,
			Parallelism: 1,
			MinLength:   policy.DefaultMinPassword,
		},
		Throttle: Throttle{
			PerUserNetwork: 10, PerUser: 1000, UserWindow: 24 * time.Hour, PerNetwork: 1000, PerClient: 100, Window: 5 * time.Minute,
			IPv4Prefix: 24, IPv6Prefix: 64,
		},
		Compat: Compat{
			Client:               "operations",
			UpstreamTimeout:      10 * time.Second,
			UpstreamIdleTimeout:  30 * time.Second,
			UpstreamMaxTime:      10 * time.Minute,
			UpstreamMaxBodyBytes: 64 << 20,
			UpstreamMaxRequests:  64,
			BasicCacheTTL:        5 * time.Minute,
		},
	}
}
