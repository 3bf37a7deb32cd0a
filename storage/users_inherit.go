package storage

import (
	"context"
	"errors"
	"time"

	"github.com/ory/fosite"
)

// ImportedTokenValid tells whether a token that another server signed, and whose signature has been verified, is to be honoured: nil,
// or fosite.ErrNotFound. refresh is the whole token if it is a refresh token, otherwise empty.
//
// It is while the user exists and is not disabled, unless it was issued before what ended that user's tokens here: a new
// password, RevokeAll, or the name having been given to somebody anew. A refresh token must also be the one that the user
// had at that server, where the import told which (see Import).
func (u *Users) ImportedTokenValid(ctx context.Context, subject string, issued time.Time, refresh string) error {
	const op = "inherit token"
	a, err := u.account(ctx, op, subject)
	if err != nil {
		return err
	}
	if a.record == nil {
		return u.db.missing(ctx, op)
	}
	r, err := decodeUser(a.record)
	if err != nil {
		return err
	}
	if !r.Active || issued.UnixMilli() < r.NotBefore {
		return fosite.ErrNotFound
	}
	if refresh == "" || r.Refresh == nil {
		return nil
	}
	return u.inheritsRefresh(ctx, *r.Refresh, refresh)
}

func (u *Users) inheritsRefresh(ctx context.Context, stored, token string) error {
	if stored == "" {
		return fosite.ErrNotFound
	}
	scheme, err := schemeOf("", stored)
	if err != nil {
		return dontKnow("inherit token", errors.Join(errRecord, err))
	}
	h, err := parseStored(scheme, stored)
	if err != nil {
		return dontKnow("inherit token", errors.Join(errRecord, err))
	}
	if h.slow {
		release, err := u.hasher.acquire(ctx)
		if err != nil {
			return err
		}
		defer release()
		u.hasher.runs.Add(1)
	}
	if !h.match(token) {
		return fosite.ErrNotFound
	}
	return nil
}

// RevokeAll ends every session of a subject, as RevokeSubject does, and all tokens that another server issued to it and that
// were honoured here. A subject that has no account, because users are kept elsewhere, has nothing but sessions to end.
func (u *Users) RevokeAll(ctx context.Context, subject string) error {
	_, _, err := u.edit(ctx, "revoke all", subject, func(r *userRecord) error {
		r.NotBefore = now()
		return nil
	})
	if err != nil && (!errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrTemporarilyUnavailable)) {
		return err
	}
	return u.db.endSubject(ctx, subject)
}
