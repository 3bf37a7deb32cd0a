package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/opgrant/opgrant/config"
)

// listeners are the open sockets of the server.
type listeners struct {
	public net.Listener
	admin  net.Listener // nil when switched off
}

func listen(ctx context.Context, cfg *config.Config) (*listeners, error) {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if cfg.HTTP.MaxConnections > 0 {
		public = netutil.LimitListener(public, cfg.HTTP.MaxConnections)
	}
	l := &listeners{public: public}
	if cfg.AdminListen == "off" {
		return l, nil
	}
	if l.admin, err = lc.Listen(ctx, "tcp", cfg.AdminListen); err != nil {
		_ = public.Close()
		return nil, fmt.Errorf("admin_listen: %w", err)
	}
	return l, nil
}

// close is for a start that failed. serve closes the listeners itself.
func (l *listeners) close() {
	_ = l.public.Close()
	if l.admin != nil {
		_ = l.admin.Close()
	}
}

// startWait is how long connections wait, accepted by the kernel alone, for a server that is starting. It is shorter than health
// checks wait: a server that waits for Redis is alive and says so.
const startWait = 2 * time.Second

// serve answers requests from when the server has started, or from startWait on, until ctx ends. Then it drains, if ctx ended
// because it was asked to, and lets open requests finish.
func (l *listeners) serve(ctx context.Context, cfg config.HTTP, public, admin http.Handler, h *health, log *slog.Logger) error {
	quiet := slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	servers := map[*http.Server]net.Listener{{
		Handler:           closeAmbiguous(closeDraining(public, &h.draining)),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		ErrorLog:          quiet,
		// "OPTIONS *" is answered like any other request, not by net/http.
		DisableGeneralOptionsHandler: true,
	}: l.public}
	if l.admin != nil {
		servers[&http.Server{
			Handler:           closeAmbiguous(admin),
			ReadHeaderTimeout: cfg.ReadHeaderTimeout,
			ReadTimeout:       cfg.ReadTimeout,
			WriteTimeout:      5 * time.Minute, // a CPU profile takes as long as it was asked to
			IdleTimeout:       cfg.IdleTimeout,
			MaxHeaderBytes:    cfg.MaxHeaderBytes,
			ErrorLog:          quiet,
		}] = l.admin
		log.Info("admin listener started (do not expose publicly)", "listen", l.admin.Addr().String())
	}
	ended := make(chan error, len(servers))
	for server, listener := range servers {
		go func() {
			if listener == l.public {
				h.awaitStart(ctx, startWait)
			}
			ended <- server.Serve(listener)
		}()
	}

	var failure error
	select {
	case <-ctx.Done():
		h.draining.Store(true)
		if errors.Is(context.Cause(ctx), context.Canceled) && h.hasStarted() {
			failure = drain(cfg.DrainDelay, ended, log)
		}
		log.Info("shutting down", "grace", cfg.ShutdownTimeout)
	case failure = <-ended:
		h.draining.Store(true)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer cancel()
	for server := range servers {
		if err := server.Shutdown(grace); err != nil {
			log.Warn("open requests were aborted", "error", err)
			_ = server.Close()
		}
	}
	if failure != nil && !errors.Is(failure, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", failure)
	}
	log.Info("stopped")
	return nil
}

// drain keeps serving until proxies have noticed that /readyz is 503 and send no more requests: one that reached a closed port
// would fail.
func drain(delay time.Duration, ended <-chan error, log *slog.Logger) error {
	if delay <= 0 {
		return nil
	}
	log.Info("draining: /readyz is 503, requests are still accepted", "delay", delay)
	select {
	case <-time.After(delay):
		return nil
	case err := <-ended:
		return err
	}
}
