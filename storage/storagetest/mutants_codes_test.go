package storagetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ory/fosite"
)

// deletesCodes removes a used code, so that its second use looks like an unknown code.
type deletesCodes struct{ memory }

func (m deletesCodes) InvalidateAuthorizeCodeSession(_ context.Context, signature string) error {
	if _, ok := m.AuthorizeCodes[signature]; !ok {
		return fosite.ErrNotFound
	}
	delete(m.AuthorizeCodes, signature)
	return nil
}

// usedAlone returns the error for a used code without its request.
type usedAlone struct{ memory }

func (m usedAlone) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.memory.GetAuthorizeCodeSession(ctx, signature, s)
	if err != nil {
		return nil, err
	}
	return req, nil
}

// usedIsFine returns a used code without an error.
type usedIsFine struct{ memory }

func (m usedIsFine) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.memory.GetAuthorizeCodeSession(ctx, signature, s)
	if errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		return req, nil
	}
	return req, err
}

// anyCode invalidates what does not exist: an UPDATE whose affected rows nobody counts.
type anyCode struct{ memory }

func (m anyCode) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	_ = m.memory.InvalidateAuthorizeCodeSession(ctx, signature)
	return nil
}

// anyCase compares keys as a database with a case-insensitive collation does.
type anyCase struct{ memory }

func (m anyCase) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.memory.CreateAuthorizeCodeSession(ctx, strings.ToLower(signature), req)
}

func (m anyCase) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	return m.memory.GetAuthorizeCodeSession(ctx, strings.ToLower(signature), s)
}

// needsRefresh ends a code when its refresh token is stored.
type needsRefresh struct {
	memory
	code *string
}

func (m needsRefresh) InvalidateAuthorizeCodeSession(_ context.Context, signature string) error {
	*m.code = signature
	return nil
}

func (m needsRefresh) CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error {
	_ = m.memory.InvalidateAuthorizeCodeSession(ctx, *m.code)
	return m.memory.CreateRefreshTokenSession(ctx, signature, access, req)
}

// keepsTokens revokes the refresh token of a request alone.
type keepsTokens struct{ memory }

func (keepsTokens) RevokeAccessToken(context.Context, string) error { return nil }

type noRedirectURI struct{ memory }

func (m noRedirectURI) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.memory.CreateAuthorizeCodeSession(ctx, signature, without(req, "redirect_uri"))
}

func TestSuiteFindsMistakesInCodes(t *testing.T) {
	memoryMutants{
		"a used code is deleted": {
			func(s memory) revocable { return deletesCodes{s} },
			[]string{"codes/a used code returns its request with ErrInvalidatedAuthorizeCode", "code handler/detects the second redemption and ends the session"},
		},
		"a used code without its request": {
			func(s memory) revocable { return usedAlone{s} },
			[]string{"codes/a used code returns its request with ErrInvalidatedAuthorizeCode", "code handler/detects the second redemption and ends the session"},
		},
		"a used code is as good as new": {
			func(s memory) revocable { return usedIsFine{s} },
			[]string{"codes/a redeemed code is used and its tokens are accepted", "code handler/detects the second redemption and ends the session"},
		},
		"an unknown code is invalidated": {
			func(s memory) revocable { return anyCode{s} },
			[]string{"codes/invalidating an unknown code creates none", "codes/an unknown code issues no refresh token"},
		},
		"upper and lower case are the same": {
			func(s memory) revocable { return anyCase{s} },
			[]string{"codes/keys of any shape are kept apart"},
		},
		"a code without its redirect URI": {
			func(s memory) revocable { return noRedirectURI{s} },
			[]string{"codes/what was stored comes back", "code handler/issues nothing for a wrong verifier, redirect URI or code"},
		},
		"a code without a refresh token stays open": {
			func(s memory) revocable { return needsRefresh{s, new(string)} },
			[]string{"codes/a code without a refresh token is redeemed too"},
		},
		"access tokens of a code survive": {
			func(s memory) revocable { return keepsTokens{s} },
			[]string{"codes/revoking the request of a redeemed code ends its tokens"},
		},
	}.mustFail(t)
}
