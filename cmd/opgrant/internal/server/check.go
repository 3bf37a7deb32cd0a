package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/config"
)

// Check returns every reason for which a server would refuse a loaded configuration, joined, and what it would warn of. It does
// not talk to Redis, so what Redis holds or how it is set up is not checked. Nor is whether a port is free.
func Check(ctx context.Context, cfg *config.Config) ([]config.Warning, error) {
	problems := []error{
		checkListener(ctx, "listen", cfg.Listen),
		checkListener(ctx, "admin_listen", cfg.AdminListen),
	}
	problems = append(problems, checkOperationsClient(cfg), checkAuthorization(cfg))
	return cfg.Warnings(), errors.Join(problems...)
}

// checkListener tells whether this machine has the address, by listening on another port of it: a server may be running.
func checkListener(ctx context.Context, key, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil // "off", or reported by config.Load
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return l.Close()
}

// checkAuthorization makes the server that Run makes, and throws it away.
func checkAuthorization(cfg *config.Config) error {
	c := *cfg
	c.Issuer = issuerOf(cfg, cfg.Listen)
	rdb, closeRedis, err := openRedis(&c, false)
	if err != nil {
		return err
	}
	defer closeRedis()
	_, err = newAuthorization(&c, rdb, newMetrics(c.Issuer), slog.New(slog.DiscardHandler), true)
	return err
}

// issuerOf is the configured issuer, or that of a server that listens on an address.
func issuerOf(cfg *config.Config, address string) string {
	if cfg.Issuer != "" {
		return cfg.Issuer
	}
	return "http://" + address
}

// newAuthorization translates the configuration into the server of both APIs.
func newAuthorization(cfg *config.Config, rdb redis.UniversalClient, m *metrics, log *slog.Logger, check bool) (*opgrant.Server, error) {
	options := storageOptions(cfg)
	options.MustExist = check // an embedded Redis is always new
	options.OnLost = func() { log.Error(hintLost) }
	return opgrant.New(opgrant.Config{
		Issuer:     cfg.Issuer,
		Redis:      rdb,
		Storage:    options,
		Keys:       keysConfig(cfg.Keys),
		AccessTTL:  cfg.Tokens.AccessTTL,
		RefreshTTL: cfg.Tokens.RefreshTTL,
		Audience:   cfg.Tokens.Audience,
		Grants:     cfg.Tokens.Grants,
		Assertions: authserver.Assertions{MaxTTL: cfg.Assertions.MaxTTL, Audience: cfg.Assertions.Audience},
		BodyBudget: cfg.HTTP.BodyBudgetBytes,
		Operations: compat.Config{
			ClientID:    cfg.Compat.Client,
			MaxBody:     cfg.HTTP.MaxBodyBytes,
			Origins:     cfg.Compat.Origins,
			ServerName:  cfg.Compat.ServerName,
			Upstream:    upstream(cfg.Compat, m.shadowCompared),
			Deprecation: cfg.Compat.Deprecation.Time(),
			Sunset:      cfg.Compat.Sunset.Time(),
			Notice:      cfg.Compat.Notice,
			OnOperation: m.operationServed,
		},
		DisableOperations: cfg.Compat.Disabled,
		Prepare: func(ctx context.Context, s *opgrant.Server) error {
			return prepare(ctx, s, cfg, log, check)
		},
		OnTokenIssued: m.tokenIssued,
		Log:           log,
	})
}

// heed logs warnings. With strict they are an error.
func heed(warnings []config.Warning, strict bool, log *slog.Logger) error {
	if strict {
		return refused(warnings)
	}
	for _, w := range warnings {
		log.Warn(w.Text, "warning", w.Name)
	}
	return nil
}

// refused is the error that warnings are with strict: nil where there are none.
func refused(warnings []config.Warning) error {
	if len(warnings) == 0 {
		return nil
	}
	texts := make([]string, len(warnings))
	for i, w := range warnings {
		texts[i] = fmt.Sprintf("%s (%s)", w.Text, w.Name)
	}
	return fmt.Errorf("strict: %s", strings.Join(texts, "; "))
}
