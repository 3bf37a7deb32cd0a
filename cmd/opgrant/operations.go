package main

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/config"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/throttle"
)

// operationsConfig is the legacy door on our own server and store.
func operationsConfig(cfg *config.Config, s *state, standard *authserver.Server, log *slog.Logger) (compat.Config, error) {
	accounts := &accounts{store: s.store, server: standard, log: log}
	if !cfg.Throttle.Disabled {
		accounts.throttle = newThrottle(cfg.Throttle, s)
	}
	c := compat.Config{
		Token:         standard.Token(),
		ClientID:      cfg.Compat.Client,
		Authenticator: accounts,
		Users:         accounts,
		Roles:         accounts,
		MaxBody:       cfg.HTTP.MaxBodyBytes,
		Origins:       cfg.Compat.Origins,
		ServerName:    cfg.Compat.ServerName,
		Log:           log,
	}
	var err error
	if cfg.Compat.Deprecation != "" {
		if c.Deprecation, err = config.ParseDate(cfg.Compat.Deprecation); err != nil {
			return compat.Config{}, err
		}
	}
	if cfg.Compat.Sunset != "" {
		if c.Sunset, err = config.ParseDate(cfg.Compat.Sunset); err != nil {
			return compat.Config{}, err
		}
	}
	if cfg.Compat.Upstream != "" {
		c.Upstream = &compat.Upstream{
			URL:           cfg.Compat.Upstream,
			Timeout:       cfg.Compat.UpstreamTimeout,
			Authorization: upstreamCredentials(cfg.Compat),
			Importer:      accounts,
			Shadow:        cfg.Compat.Shadow,
		}
	}
	return c, nil
}

// upstreamCredentials are sent in place of the caller's, where they are configured.
func upstreamCredentials(c config.Compat) func(context.Context, compat.Caller) (string, error) {
	if c.UpstreamUsername == "" {
		return nil
	}
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.UpstreamUsername+":"+string(c.UpstreamPassword)))
	return func(context.Context, compat.Caller) (string, error) { return header, nil }
}

// accounts gives the words of the store and of the server to operations.
type accounts struct {
	store    *storage.Store
	server   *authserver.Server
	throttle *throttle.Throttle // nil: nothing limits failures
	log      *slog.Logger
}

var (
	_ compat.Authenticator = (*accounts)(nil)
	_ compat.Users         = (*accounts)(nil)
	_ compat.Roles         = (*accounts)(nil)
	_ compat.Importer      = (*accounts)(nil)
)

// verdicts are what the store says → what operations call it. Everything else is a don't-know on both sides.
var verdicts = []struct{ from, to error }{
	{fosite.ErrNotFound, compat.ErrNotFound},
	{storage.ErrExists, compat.ErrExists},
	{storage.ErrInUse, compat.ErrInUse},
	{storage.ErrName, compat.ErrRefused},
	{storage.ErrPasswordTooLong, compat.ErrRefused},
	{storage.ErrPermission, compat.ErrRefused},
	{storage.ErrDropped, compat.ErrInvalid}, // an administrator's drop stays a drop
}

func verdict(err error) error {
	if err == nil || errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	for _, v := range verdicts {
		if errors.Is(err, v.from) {
			return v.to
		}
	}
	return err
}

// Password implements compat.Authenticator, behind the throttle that the token endpoint counts with.
func (a *accounts) Password(ctx context.Context, c compat.Credentials) (compat.Caller, error) {
	address := c.Address
	if peer, err := netip.ParseAddrPort(c.Address); err == nil {
		address = peer.Addr().Unmap().String()
	}
	if a.throttle != nil {
		wait, err := a.throttle.Reserve(ctx, c.Name, address)
		if err != nil {
			return compat.Caller{}, err
		}
		if wait > 0 {
			return compat.Caller{}, &compat.RetryError{Err: compat.ErrThrottled, After: wait}
		}
	}
	user, err := a.store.Users.VerifyPassword(ctx, c.Name, c.Password)
	unknown := errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable)
	disabled := errors.Is(err, storage.ErrUserDisabled)
	if a.throttle != nil && !unknown && !disabled {
		after := a.throttle.Succeeded
		if err != nil {
			after = a.throttle.Cancel
		}
		if err := after(ctx, c.Name, address); err != nil {
			a.log.WarnContext(ctx, "login not taken back from the throttle", "error", err)
		}
	}
	switch {
	case unknown:
		return compat.Caller{}, compat.ErrInvalid
	case disabled:
		return compat.Caller{}, compat.ErrInactive
	case err != nil:
		return compat.Caller{}, err
	}
	return a.caller(ctx, user)
}

// Token implements compat.Authenticator. Tokens of the standard profile are made for other servers and open nothing here.
func (a *accounts) Token(ctx context.Context, token string) (compat.Caller, compat.TokenKind, error) {
	t, err := a.server.Inspect(ctx, token)
	switch {
	case errors.Is(err, authserver.ErrTokenExpired):
		return compat.Caller{}, 0, compat.ErrExpired
	case errors.Is(err, authserver.ErrTokenInvalid):
		return compat.Caller{}, 0, compat.ErrInvalid
	case err != nil:
		return compat.Caller{}, 0, err
	case !t.Legacy || t.Subject == "" || t.Role != "":
		return compat.Caller{}, 0, compat.ErrInvalid
	}
	user, err := a.store.Users.User(ctx, t.Subject)
	if err := verdict(err); errors.Is(err, compat.ErrNotFound) || err == nil && !user.Active {
		return compat.Caller{}, 0, compat.ErrInvalid
	} else if err != nil {
		return compat.Caller{}, 0, err
	}
	caller, err := a.caller(ctx, user)
	if t.Kind == authserver.KindRefresh {
		return caller, compat.RefreshToken, err
	}
	return caller, compat.OperationToken, err
}

// caller tells a user's role only if it is still there. A role that makes super users is.
func (a *accounts) caller(ctx context.Context, u storage.User) (compat.Caller, error) {
	c := compat.Caller{Name: u.Name, Role: u.Role, SuperUser: u.SuperUser}
	if c.SuperUser || c.Role == "" {
		return c, nil
	}
	if _, err := a.store.Users.Role(ctx, u.Role); err != nil {
		if err := verdict(err); !errors.Is(err, compat.ErrNotFound) {
			return compat.Caller{}, err
		}
		c.Role = ""
	}
	return c, nil
}
