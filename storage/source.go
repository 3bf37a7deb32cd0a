package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// Source verifies the passwords of users who are not in the store yet, at the server that they move from. Its methods must be
// safe for concurrent use.
//
// The store asks about one name once at a time, and about 64 names at a time. Logins with the same password share one question.
// Others wait for their turn, up to 10 s, and are unavailable after that. A panic is contained, and means unavailable.
type Source interface {
	// Verify returns the user if the password is right there, and the user's role, whose ID is empty where there is none.
	// fosite.ErrNotFound: it is refused there. Every other error means that it is not known whether the password is right.
	//
	// The context outlives the request, because an import that has begun is completed, and ends after 15 s. Neither name nor
	// password is empty. A user who is not active is stored, and may not log in here either.
	Verify(ctx context.Context, name, password string) (User, Role, error)
}

const (
	opSource     = "verify at source"
	questionTime = 15 * time.Second
)

var (
	errSourceUser  = errors.New("the source answers with another user than was asked for")
	errSourceEnded = errors.New("the question to the source has ended without an answer")
)

// fromSource asks the source about a user who has no record here, and stores the user if the password is right there. found is
// false where the source refuses it, where there is no source, and for a user who was dropped here.
func (u *Users) fromSource(ctx context.Context, name, password string) (user User, found bool, err error) {
	if u.logins == nil || name == "" || password == "" || checkName(name) != nil {
		return User{}, false, nil
	}
	// Before the queue: who was dropped here is refused however busy the source is.
	if dropped, err := u.dropped(ctx, []string{name}); err != nil || dropped[0] {
		return User{}, false, err
	}
	result := u.logins.do(ctx, name, password)
	if result.err != nil || !result.found {
		return User{}, false, result.err
	}
	stored := result.account // of this caller alone: others share the result
	batchFrom(ctx).remember(&stored)
	return result.user, true, nil
}

// sourceResult is what a question to the source has come to.
type sourceResult struct {
	account account // as it is stored now
	user    User
	found   bool
	err     error
}

// importLogin is an importFunc.
func (u *Users) importLogin(ctx context.Context, source Source, name, password string, answered func()) sourceResult {
	a, err := u.account(ctx, opSource, name)
	switch {
	case err != nil:
		return sourceResult{err: err}
	case a.record != nil: // another login, here or on another server, was first
		return u.checkImported(ctx, a, name, password)
	}
	if err := u.db.CheckEpoch(ctx, opSource); err != nil { // an emptied Redis knows no user
		return sourceResult{err: err}
	}
	asking, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	user, role, err := source.Verify(asking, name, password)
	answered()
	switch {
	case errors.Is(err, fosite.ErrNotFound) && !unavailable.Is(err):
		return sourceResult{}
	case err != nil:
		return sourceResult{err: unavailable.Error(opSource, err)}
	case user.Name != name:
		return sourceResult{err: unavailable.Error(opSource, errSourceUser)}
	}
	return u.storeVerified(ctx, user, role, password)
}

// storeVerified stores a user and, unless there is one of that ID, the role.
func (u *Users) storeVerified(ctx context.Context, user User, role Role, password string) sourceResult {
	user.Role = role.ID
	if role.ID != "" {
		if _, err := u.addRole(ctx, role, true); err != nil && !errors.Is(err, ErrExists) {
			return sourceResult{err: unavailable.Error(opSource, fmt.Errorf("role of the user: %w", err))}
		}
	}
	raw, err := u.add(ctx, user, password, true)
	switch {
	case errors.Is(err, ErrDropped): // since the question was asked
		return sourceResult{}
	case err != nil && !errors.Is(err, ErrExists):
		return sourceResult{err: unavailable.Error(opSource, err)}
	}
	a, readErr := u.account(ctx, opSource, user.Name)
	switch {
	case readErr != nil:
		return sourceResult{err: readErr}
	case err != nil || string(a.record) != raw:
		return u.checkImported(ctx, a, user.Name, password)
	}
	r, err := decodeUser(raw)
	if err != nil {
		return sourceResult{err: err}
	}
	if r.Active {
		u.cache.Add(r.Hash, user.Name, password)
	}
	return sourceResult{account: *a, user: r.user(a.superRoles), found: true}
}

// checkImported compares the password with a record that another request has stored or changed meanwhile.
func (u *Users) checkImported(ctx context.Context, a *account, name, password string) sourceResult {
	r, err := u.decodeAccount(ctx, opSource, a)
	if errors.Is(err, fosite.ErrNotFound) && !unavailable.Is(err) { // dropped
		return sourceResult{}
	}
	if err != nil {
		return sourceResult{err: err}
	}
	_, ok, err := u.matches(ctx, a, r, name, password)
	if err != nil || !ok {
		return sourceResult{err: err}
	}
	return sourceResult{account: *a, user: r.user(a.superRoles), found: true}
}
