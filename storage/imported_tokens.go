package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// ImportedTokenValid returns nil if a token that another server signed, and whose signature has been verified, is still
// valid, otherwise fosite.ErrNotFound. refresh is the whole token if it is a refresh token, otherwise empty.
//
// The token is valid while the user exists and is active, unless it was issued before the user's tokens were ended here: by a
// new password, by Tokens.RevokeSubject, or because the name was given to a new user. A refresh token must also be the one that the
// user had at the other server, if the import knew it (see Import).
func (u *Users) ImportedTokenValid(ctx context.Context, subject string, issued time.Time, refresh string) error {
	a, err := u.account(ctx, opImportedToken, subject)
	if err != nil {
		return err
	}
	r, err := u.decodeAccount(ctx, opImportedToken, a)
	if err != nil {
		return err
	}
	if !r.Active || issued.UnixMilli() < r.NotBefore {
		return fosite.ErrNotFound
	}
	if refresh == "" || r.Refresh == nil {
		return nil
	}
	return u.importedRefreshValid(ctx, *r.Refresh, refresh)
}

const opImportedToken = "check imported token"

func (u *Users) importedRefreshValid(ctx context.Context, stored, token string) error {
	if stored == "" {
		return fosite.ErrNotFound
	}
	scheme, err := password.Scheme("", stored)
	if err != nil {
		return unavailable.Error(opImportedToken, errors.Join(unavailable.ErrRecord, err))
	}
	hash, err := password.Parse(scheme, stored)
	if err != nil {
		return unavailable.Error(opImportedToken, errors.Join(unavailable.ErrRecord, err))
	}
	ok, err := u.hasher.Matches(ctx, hash, token)
	if err != nil {
		return err
	}
	if !ok {
		return fosite.ErrNotFound
	}
	return nil
}
