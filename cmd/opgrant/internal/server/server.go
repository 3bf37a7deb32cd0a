package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"

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

	// What `config check` reports
	warnings, err := Check(ctx, cfg)
	if err != nil {
		return err
	}
	if !o.Dev {
		if err := heed(warnings, cfg.Strict, log); err != nil {
			return err
		}
	}

	limitMemory(memlimit.FromCgroup, log)

	// Listeners: opened first, so that a port in use is found at once and the default issuer knows the port.
	listeners, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	address := listeners.public.Addr().String()
	cfg.Issuer = issuerOf(cfg, address)

	// Redis
	rdb, closeRedis, err := openRedis(cfg, o.Dev)
	if err != nil {
		return err
	}
	defer closeRedis()

	// Metrics
	metrics := newMetrics(cfg.Issuer)
	metrics.watchPool(rdb)

	// Store, signing keys, OAuth endpoints, operations API
	authorization, err := newAuthorization(cfg, rdb, metrics, log, !o.Dev)
	if err != nil {
		return err
	}
	metrics.watchLogins(authorization.Store.Users)

	metrics.watchAdmission(authorization)

	// Health, the description of the APIs, and what each request passes through
	health := &health{ready: authorization.Ready, started: authorization.Started(), log: log}
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

	// Background work: waits for Redis, creates what is configured, rotates keys, writes usage counts. It goes on while the server
	// drains, because requests still need the keys and are counted.
	ctx, fail := context.WithCancelCause(ctx)
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() {
		if err := authorization.Run(work); err != nil {
			fail(err)
		}
	})
	if !o.Dev { // a terminal that is closed ends a development server
		background.Go(func() { explainHangups(work, log) })
	}
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

	err = listeners.serve(ctx, cfg.HTTP, public, adminHandler(metrics, cfg), health, log)
	cause := context.Cause(ctx)
	fail(nil)
	stopWork()
	background.Wait()
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
