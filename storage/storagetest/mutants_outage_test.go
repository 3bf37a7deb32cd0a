package storagetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
)

// allRefusals takes every error for a refusal.
type allRefusals struct{ whole }

func (m allRefusals) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.whole.GetAuthorizeCodeSession(ctx, signature, s)
	if err != nil && !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		return nil, fosite.ErrNotFound
	}
	return req, err
}

func (m allRefusals) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	if m.whole.InvalidateAuthorizeCodeSession(ctx, signature) != nil {
		return fosite.ErrNotFound
	}
	return nil
}

func (m allRefusals) Commit(ctx context.Context) error {
	if m.whole.Commit(ctx) != nil {
		return fosite.ErrInvalidatedAuthorizeCode
	}
	return nil
}

func (m allRefusals) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	req, err := m.whole.GetPARSession(ctx, uri)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	return req, nil
}

func (m allRefusals) GetPublicKeys(ctx context.Context, issuer, subject string) (*jose.JSONWebKeySet, error) {
	keys, err := m.whole.GetPublicKeys(ctx, issuer, subject)
	if err != nil {
		return nil, fosite.ErrNotFound
	}
	return keys, nil
}

// usedInDoubt says that an assertion was used when it cannot know, as fosite's own store does.
type usedInDoubt struct{ whole }

func (m usedInDoubt) IsJWTUsed(ctx context.Context, jti string) (bool, error) {
	used, err := m.whole.IsJWTUsed(ctx, jti)
	return used || err != nil, nil
}

// remembersFailure remembers that a code was not found, whatever the reason.
type remembersFailure struct {
	whole
	mu      *sync.Mutex
	unknown map[string]bool
}

func (m remembersFailure) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unknown[signature] {
		return nil, fosite.ErrNotFound
	}
	req, err := m.whole.GetAuthorizeCodeSession(ctx, signature, s)
	m.unknown[signature] = err != nil && !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode)
	return req, err
}

func (m remembersFailure) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unknown[signature] {
		return fosite.ErrNotFound
	}
	return m.whole.InvalidateAuthorizeCodeSession(ctx, signature)
}

func TestSuiteFindsMistakesInOutages(t *testing.T) {
	const everyCall = "outage/every call returns an error that is not a refusal"
	storeMutants{
		"all errors are refusals": {
			func(s whole) whole { return allRefusals{s} },
			[]string{everyCall, "codes/a canceled context is not a refusal", "outage/a redemption during it does not lose the code"},
		},
		"in doubt an assertion was used": {func(s whole) whole { return usedInDoubt{s} }, []string{everyCall}},
		"an outage is remembered": {
			func(s whole) whole { return remembersFailure{s, &sync.Mutex{}, map[string]bool{}} },
			[]string{"outage/codes are unchanged after it"},
		},
	}.mustFail(t)
}
