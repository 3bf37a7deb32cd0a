package main

import (
	"log/slog"
	"net/http"
	"path"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage/throttle"
)

// newStandardDoor is the OAuth 2.0 server.
func newStandardDoor(cfg *config.Config, s *state, onIssued func(authserver.TokenIssued), log *slog.Logger) (*authserver.Server, error) {
	c := authserver.Config{
		Issuer:        cfg.Issuer,
		Storage:       s.store,
		Users:         s.store.Users,
		Keys:          s.keys,
		AccessTTL:     cfg.Tokens.AccessTTL,
		RefreshTTL:    cfg.Tokens.RefreshTTL,
		Audience:      cfg.Tokens.Audience,
		OnTokenIssued: onIssued,
		Log:           log,
	}
	if !cfg.Throttle.Disabled {
		c.Throttle = newThrottle(cfg.Throttle, s)
	}
	return authserver.New(c)
}

func newThrottle(c config.Throttle, s *state) *throttle.Throttle {
	return s.store.Users.NewThrottle(throttle.Limits{
		PerUser:    throttle.Limit{Failures: c.PerUser, Period: c.Window},
		PerAddress: throttle.Limit{Failures: c.PerAddress, Period: c.Window},
	})
}

// newLegacyDoor puts operations in front of the token endpoint.
func newLegacyDoor(cfg *config.Config, s *state, standard *authserver.Server, m doorMeter, log *slog.Logger) (http.Handler, error) {
	c, err := operationsConfig(cfg, s, standard, log)
	if err != nil {
		return nil, err
	}
	c.Notice = cfg.Compat.Notice
	c.OnOperation = m.operation
	if c.Upstream != nil {
		c.Upstream.OnShadow = m.shadow
	}
	return compat.New(c)
}

// cleanPath says whether a ServeMux would serve the path rather than redirect it.
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}
