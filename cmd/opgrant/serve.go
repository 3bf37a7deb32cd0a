package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/spf13/cobra"

	"github.com/opgrant/opgrant/config"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: operations on POST /, OAuth 2.0 on /oauth2/…",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			return p.serve(cmd.Context(), cfg)
		},
	}
	flags := cmd.Flags()
	p.setting(flags, "listen", "listen", "`address` of both doors (OPGRANT_LISTEN, default 127.0.0.1:9925)")
	p.setting(flags, "admin-listen", "admin_listen", "`address` of metrics and profiles, or off (OPGRANT_ADMIN_LISTEN, default 127.0.0.1:9926)")
	p.setting(flags, "issuer", "issuer", "`URL` that names this server in tokens (OPGRANT_ISSUER)")
	p.setting(flags, "log-level", "log.level", "debug, info, warn or error (OPGRANT_LOG_LEVEL)")
	p.setting(flags, "log-format", "log.format", "json or text (OPGRANT_LOG_FORMAT)")
	p.switchSetting(flags, "strict", "strict", "refuse to start on what is otherwise a warning (OPGRANT_STRICT)")
	p.switchSetting(flags, "remove-clients", "remove_clients", "remove clients that are not in the configuration (OPGRANT_REMOVE_CLIENTS)")
	flags.BoolVar(&p.dev, "dev", false, "keep the state in memory, and make a user and clients to try both doors with")
	return cmd
}

// serve puts the parts together and answers until ctx ends.
func (p *program) serve(ctx context.Context, cfg *config.Config) error {
	log := newLogger(cfg.Log, p.stderr)
	if p.dev {
		stop, err := p.embed(cfg)
		if err != nil {
			return err
		}
		defer stop()
	}
	doors, err := openListeners(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.Issuer == "" {
		cfg.Issuer = "http://" + doors.public.Addr().String()
	}
	s, err := openState(cfg)
	if err != nil {
		doors.close()
		return err
	}
	defer s.close()
	m := newMetrics()
	m.watchPool(s.rdb)
	h := &health{log: log}
	public, err := newPublic(cfg, s, h, m, log)
	if err != nil {
		doors.close()
		return err
	}

	ctx, fail := context.WithCancelCause(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		if err := boot(ctx, cfg, s, log, !p.dev); err != nil {
			if ctx.Err() == nil {
				fail(err)
			}
			return
		}
		h.started.Store(true)
		log.Info("ready", "listen", doors.public.Addr().String(), "issuer", cfg.Issuer)
		if p.dev {
			p.welcome(doors.public.Addr().String())
		}
		s.keys.Run(ctx, log)
	})
	background.Go(func() {
		if err := s.meter.Run(ctx); err != nil {
			log.Warn("the last numbers of the migration meter are lost", "error", err)
		}
	})
	if doors.admin != nil {
		log.Info("admin listener: keep it to yourself", "listen", doors.admin.Addr().String())
	}
	err = doors.serve(ctx, cfg.HTTP, public, m, h, log)
	cause := context.Cause(ctx)
	fail(nil)
	background.Wait()
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// embed points the configuration to a Redis in this process.
func (p *program) embed(cfg *config.Config) (stop func(), err error) {
	if cfg.Redis.URL != config.Default().Redis.URL {
		return nil, errors.New("serve --dev keeps its state in memory and has no use for --redis or OPGRANT_REDIS; " +
			"for a development server on Redis run `opgrant seed --dev`, then `opgrant serve`")
	}
	address, stop, err := embeddedRedis()
	if err != nil {
		return nil, err
	}
	cfg.Redis.URL = config.RedisURL(address)
	return stop, nil
}

// boot does what needs Redis before the first request, again and again until Redis is there. What will not mend itself
// ends the server.
func boot(ctx context.Context, cfg *config.Config, s *state, log *slog.Logger, check bool) error {
	for attempt := 0; ; attempt++ {
		err := bootOnce(ctx, cfg, s, log, check)
		if err == nil || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			return err
		}
		if attempt%10 == 0 {
			log.Warn("waiting for Redis", "address", cfg.Redis.URL, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func bootOnce(ctx context.Context, cfg *config.Config, s *state, log *slog.Logger, check bool) error {
	if err := s.store.Ready(ctx); err != nil {
		return err
	}
	if check {
		if err := checkServer(ctx, cfg, s, log); err != nil {
			return err
		}
	}
	if err := s.keys.Open(ctx); err != nil {
		return err
	}
	return seed(ctx, s, cfg, log)
}

// checkServer warns of a Redis whose settings endanger sessions, and with strict goes no further.
func checkServer(ctx context.Context, cfg *config.Config, s *state, log *slog.Logger) error {
	warnings, err := s.store.CheckServer(ctx)
	if err != nil {
		return err
	}
	if cfg.Secret == "" {
		warnings = append(warnings, "the signing keys are stored unsealed: whoever can read Redis can sign tokens. Set secret or OPGRANT_SECRET_FILE")
	}
	if cfg.Strict && len(warnings) > 0 {
		return fmt.Errorf("strict: %s", strings.Join(warnings, "; "))
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	return nil
}

// welcome tells a newcomer what to type.
func (p *program) welcome(address string) {
	fmt.Fprintf(p.stdout, `
opgrant is running. One user, two doors:

  the legacy door: operations as JSON

    curl -s http://%[1]s/ -H 'Content-Type: application/json' \
      -d '{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}'

    curl -s http://%[1]s/ -H 'Content-Type: application/json' \
      -d '{"operation":"refresh_operation_token","refresh_token":"EXISTING_REFRESH_TOKEN"}'

  the standard door: OAuth 2.0

    curl -s http://%[1]s/oauth2/token -u demo:demo-secret \
      -d grant_type=password -d username=HDB_ADMIN -d password=password

    curl -s http://%[1]s/oauth2/token -u demo:demo-secret \
      -d grant_type=refresh_token -d refresh_token=EXISTING_REFRESH_TOKEN

    curl -s http://%[1]s/oauth2/introspect -u demo:demo-secret -d token=ACCESS_TOKEN

DEVELOPMENT SERVER: THE STATE IS LOST ON EXIT, AND THE PASSWORDS ARE PUBLIC.

`, address)
}

// newPublic is everything that answers on the public listener.
func newPublic(cfg *config.Config, s *state, h *health, m *metrics, log *slog.Logger) (http.Handler, error) {
	trusted, err := trustedProxies(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	meter := doorMeter{metrics: m, meter: s.meter, legacy: cfg.Compat.Client}
	standard, err := newStandardDoor(cfg, s, meter.issued, log)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	h.ready = s.store.Ready
	mux.HandleFunc("GET /livez", h.live)
	mux.HandleFunc("GET /readyz", h.readiness)
	mux.Handle("/oauth2/", standard)
	mux.Handle("/.well-known/", standard)
	mux.Handle("GET /openapi.yaml", openAPI())
	front := http.Handler(mux)
	if cfg.Compat.Disabled {
		mux.Handle("/", standard)
	} else {
		legacy, err := newLegacyDoor(cfg, s, standard, meter, log)
		if err != nil {
			return nil, err
		}
		// Paths that are not ours reach it as they were sent: the mux would redirect those that are not clean.
		front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, pattern := mux.Handler(r); pattern != "" && cleanPath(r.URL.Path) {
				mux.ServeHTTP(w, r)
				return
			}
			legacy.ServeHTTP(w, r)
		})
	}
	return observed(fromProxies(front, trusted), m, log), nil
}
