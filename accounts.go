package opgrant

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// accounts implements the interfaces of package compat on the store and the token checks of the OAuth server.
type accounts struct {
	store  *storage.Store
	server *authserver.Server
}

var (
	_ compat.Authenticator = (*accounts)(nil)
	_ compat.Users         = (*accounts)(nil)
	_ compat.Roles         = (*accounts)(nil)
)

// accountErrors maps the errors of the store to those of package compat. Any other error means "unavailable" in both.
var accountErrors = []struct{ from, to error }{
	{fosite.ErrNotFound, compat.ErrNotFound},
	{storage.ErrExists, compat.ErrExists},
	{storage.ErrInUse, compat.ErrInUse},
	{storage.ErrName, compat.ErrRefused},
	{storage.ErrPasswordTooLong, compat.ErrRefused},
	{storage.ErrPermission, compat.ErrRefused},
}

func accountError(err error) error {
	if err == nil || errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		return err
	}
	if problem := (policy.Problem{}); errors.Is(err, storage.ErrWeak) && errors.As(err, &problem) {
		return &compat.RefusedError{Member: problem.Key, Reason: problem.Text}
	}
	for _, e := range accountErrors {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	return err
}

// Password implements compat.Authenticator.
func (a *accounts) Password(ctx context.Context, c compat.Credentials) (compat.Caller, error) {
	address := c.Address
	if peer, err := netip.ParseAddrPort(c.Address); err == nil {
		address = peer.Addr().Unmap().String()
	}
	user, err := a.store.Users.VerifyPassword(ctx, c.Name, c.Password, address)
	var refused policy.TooManyAttempts
	switch {
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		return compat.Caller{}, err
	case errors.As(err, &refused):
		return compat.Caller{}, &compat.RetryError{Err: compat.ErrThrottled, After: refused.RetryAfter}
	case errors.Is(err, fosite.ErrNotFound):
		return compat.Caller{}, compat.ErrInvalid
	case errors.Is(err, storage.ErrUserDisabled):
		return compat.Caller{}, compat.ErrInactive
	case err != nil:
		return compat.Caller{}, err
	}
	return a.caller(ctx, user)
}

// Token implements compat.Authenticator. Tokens of the standard profile are meant for other servers and are refused.
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
	if err := accountError(err); errors.Is(err, compat.ErrNotFound) || err == nil && !user.Active {
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

// caller names a user's role only if the role still exists. A super user's role does.
func (a *accounts) caller(ctx context.Context, u storage.User) (compat.Caller, error) {
	c := compat.Caller{Name: u.Name, Role: u.Role, SuperUser: u.SuperUser}
	if c.SuperUser || c.Role == "" {
		return c, nil
	}
	if _, err := a.store.Users.Role(ctx, u.Role); err != nil {
		if err := accountError(err); !errors.Is(err, compat.ErrNotFound) {
			return compat.Caller{}, err
		}
		c.Role = ""
	}
	return c, nil
}
