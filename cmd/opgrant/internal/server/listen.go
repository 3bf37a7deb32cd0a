package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

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

// serve answers requests until ctx ends, then lets open requests finish.
func (l *listeners) serve(ctx context.Context, cfg config.HTTP, public, admin http.Handler, h *health, log *slog.Logger) error {
	quiet := slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	servers := map[*http.Server]net.Listener{{
		Handler:           closeAmbiguous(public),
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
		go func() { ended <- server.Serve(listener) }()
	}

	var failure error
	select {
	case <-ctx.Done():
		log.Info("shutting down", "grace", cfg.ShutdownTimeout)
	case failure = <-ended:
	}
	h.draining.Store(true)
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
