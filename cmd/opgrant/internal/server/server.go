package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/config"
)

// Options is what Run needs besides the configuration.
type Options struct {
	// Dev keeps the state in memory and prints requests to try.
	Dev            bool
	Stdout, Stderr io.Writer
}

// Run is the whole server, from top to bottom. It returns when ctx has ended and open requests have been answered, or with the
// reason why it cannot serve. It sets an empty issuer of the configuration.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	log := NewLogger(cfg.Log, o.Stderr)

	// Listeners: opened first, so that a port in use is found at once and the default issuer knows the port.
	listeners, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	address := listeners.public.Addr().String()
	if cfg.Issuer == "" {
		cfg.Issuer = "http://" + address
	}

	// Redis
	rdb, closeRedis, err := openRedis(cfg, o.Dev)
	if err != nil {
		return err
	}
	defer closeRedis()

	// Metrics
	metrics := newMetrics()
	metrics.watchPool(rdb)

	// Store, signing keys, OAuth endpoints, operations API
	authorization, err := opgrant.New(opgrant.Config{
		Issuer:     cfg.Issuer,
		Redis:      rdb,
		Storage:    storageOptions(cfg),
		Keys:       keysConfig(cfg.Keys),
		AccessTTL:  cfg.Tokens.AccessTTL,
		RefreshTTL: cfg.Tokens.RefreshTTL,
		Audience:   cfg.Tokens.Audience,
		Grants:     cfg.Tokens.Grants,
		Assertions: authserver.Assertions{MaxTTL: cfg.Assertions.MaxTTL, Audience: cfg.Assertions.Audience},
		Throttle:   throttleLimits(cfg.Throttle),
		Operations: compat.Config{
			ClientID:    cfg.Compat.Client,
			MaxBody:     cfg.HTTP.MaxBodyBytes,
			Origins:     cfg.Compat.Origins,
			ServerName:  cfg.Compat.ServerName,
			Upstream:    upstream(cfg.Compat, metrics.shadowCompared),
			Deprecation: cfg.Compat.Deprecation.Time(),
			Sunset:      cfg.Compat.Sunset.Time(),
			Notice:      cfg.Compat.Notice,
			OnOperation: metrics.operationServed,
		},
		DisableOperations: cfg.Compat.Disabled,
		Prepare: func(ctx context.Context, s *opgrant.Server) error {
			return prepare(ctx, s, cfg, log, !o.Dev)
		},
		OnTokenIssued: metrics.tokenIssued,
		Log:           log,
	})
	if err != nil {
		return err
	}

	// Health, the description of the APIs, and what each request passes through
	health := &health{ready: authorization.Ready, log: log}
	paths := withPaths(map[string]http.Handler{
		"/livez":        http.HandlerFunc(health.live),
		"/readyz":       http.HandlerFunc(health.readiness),
		"/openapi.yaml": openAPI(),
	}, authorization)
	addressed, err := withClientAddress(paths, cfg.TrustedProxies)
	if err != nil {
		return err
	}
	public := observed(addressed, metrics, log)

	// Background work: waits for Redis, creates what is configured, rotates keys, writes usage counts
	ctx, fail := context.WithCancelCause(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		if err := authorization.Run(ctx); err != nil {
			fail(err)
		}
	})
	background.Go(func() {
		select {
		case <-authorization.Started():
			log.Info("ready", "listen", address, "issuer", cfg.Issuer)
			if o.Dev {
				welcome(o.Stdout, address)
			}
		case <-ctx.Done():
		}
	})

	err = listeners.serve(ctx, cfg.HTTP, public, adminHandler(metrics), health, log)
	cause := context.Cause(ctx)
	fail(nil)
	background.Wait()
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
