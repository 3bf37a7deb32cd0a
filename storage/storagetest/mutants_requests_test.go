package storagetest_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// The mutants of this file wrap fosite's own store, which passes the tests listed for them (see TestFositeMemoryStore).
type memory struct{ *storage.MemoryStore }

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

// needsSession dereferences the session, which may be nil.
type needsSession struct{ memory }

func (m needsSession) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	_ = s.GetSubject()
	return m.memory.GetAuthorizeCodeSession(ctx, signature, s)
}

func (m needsSession) GetPKCERequestSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	_ = s.GetSubject()
	return m.memory.GetPKCERequestSession(ctx, signature, s)
}

func (m needsSession) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	_ = r.GetSession().GetSubject()
	return m.memory.GetOpenIDConnectSession(ctx, code, r)
}

func (m needsSession) CreatePARSession(ctx context.Context, uri string, req fosite.AuthorizeRequester) error {
	_ = req.GetSession().GetSubject()
	return m.memory.CreatePARSession(ctx, uri, req)
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

// without drops a parameter of a form, as a list of known parameters does.
func without(req fosite.Requester, name string) fosite.Requester {
	form := url.Values{}
	for k, v := range req.GetRequestForm() {
		if k != name {
			form[k] = v
		}
	}
	return &fosite.Request{
		ID: req.GetID(), RequestedAt: req.GetRequestedAt(), Client: req.GetClient(), Session: req.GetSession(), Form: form,
		RequestedScope: req.GetRequestedScopes(), GrantedScope: req.GetGrantedScopes(),
		RequestedAudience: req.GetRequestedAudience(), GrantedAudience: req.GetGrantedAudience(),
	}
}

type noRedirectURI struct{ memory }

func (m noRedirectURI) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.memory.CreateAuthorizeCodeSession(ctx, signature, without(req, "redirect_uri"))
}

type noChallenge struct{ memory }

func (m noChallenge) CreatePKCERequestSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.memory.CreatePKCERequestSession(ctx, signature, without(req, "code_challenge"))
}

type noNonce struct{ memory }

func (m noNonce) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	return m.memory.CreateOpenIDConnectSession(ctx, code, without(req, "nonce"))
}

// oneRecord keeps the challenge in the record of the code, and ends the code with it.
type oneRecord struct{ memory }

func (m oneRecord) CreatePKCERequestSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.CreateAuthorizeCodeSession(ctx, signature, req)
}

func (m oneRecord) GetPKCERequestSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	return m.GetAuthorizeCodeSession(ctx, signature, s)
}

func (m oneRecord) DeletePKCERequestSession(ctx context.Context, signature string) error {
	return m.InvalidateAuthorizeCodeSession(ctx, signature)
}

// oneTable keeps all requests by their key alone.
type oneTable struct{ memory }

func (m oneTable) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	return m.CreatePKCERequestSession(ctx, code, req)
}

func (m oneTable) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	return m.GetPKCERequestSession(ctx, code, r.GetSession())
}

// keepsAll never removes a request.
type keepsAll struct{ memory }

func (keepsAll) DeletePKCERequestSession(context.Context, string) error   { return nil }
func (keepsAll) DeleteOpenIDConnectSession(context.Context, string) error { return nil }
func (keepsAll) DeletePARSession(context.Context, string) error           { return nil }

// noRows has an error of its own for what is unknown, which fosite answers with 500.
type noRows struct{ memory }

var errNoRows = errors.New("no rows in result set")

func (m noRows) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.memory.GetAuthorizeCodeSession(ctx, signature, s)
	if errors.Is(err, fosite.ErrNotFound) {
		return nil, errNoRows
	}
	return req, err
}

func (m noRows) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	req, err := m.memory.GetPARSession(ctx, uri)
	if err != nil {
		return nil, errNoRows
	}
	return req, nil
}

func (m noRows) DeletePKCERequestSession(ctx context.Context, signature string) error {
	if _, ok := m.PKCES[signature]; !ok {
		return errNoRows
	}
	return m.memory.DeletePKCERequestSession(ctx, signature)
}

func (m noRows) GetPKCERequestSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	req, err := m.memory.GetPKCERequestSession(ctx, signature, s)
	if err != nil {
		return nil, errNoRows
	}
	return req, nil
}

func (m noRows) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	req, err := m.memory.GetOpenIDConnectSession(ctx, code, r)
	if err != nil {
		return nil, errNoRows
	}
	return req, nil
}

func (m noRows) DeleteOpenIDConnectSession(ctx context.Context, code string) error {
	if _, ok := m.IDSessions[code]; !ok {
		return errNoRows
	}
	return m.memory.DeleteOpenIDConnectSession(ctx, code)
}

func (m noRows) DeletePARSession(ctx context.Context, uri string) error {
	if _, ok := m.PARSessions[uri]; !ok {
		return errNoRows
	}
	return m.memory.DeletePARSession(ctx, uri)
}

// callersRequest returns the request of the caller, who asks for the stored one.
type callersRequest struct{ memory }

func (m callersRequest) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	if _, err := m.memory.GetOpenIDConnectSession(ctx, code, r); err != nil {
		return nil, err
	}
	return r, nil
}

// noMode keeps a pushed request as any other, without what only an authorization request has.
type noMode struct{ memory }

func (m noMode) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	req, err := m.memory.GetPARSession(ctx, uri)
	if err != nil {
		return nil, err
	}
	plain := fosite.NewAuthorizeRequest()
	plain.Merge(req)
	plain.RedirectURI, plain.ResponseTypes = req.GetRedirectURI(), req.GetResponseTypes()
	return plain, nil
}

// cleansCaller removes the client's secret from the form of the caller, who still needs it.
type cleansCaller struct{ memory }

func (m cleansCaller) CreatePARSession(ctx context.Context, uri string, req fosite.AuthorizeRequester) error {
	req.GetRequestForm().Del("client_secret")
	return m.memory.CreatePARSession(ctx, uri, req)
}

// oneLook removes a pushed request when it is read.
type oneLook struct{ memory }

func (m oneLook) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	defer func() { _ = m.DeletePARSession(ctx, uri) }()
	return m.memory.GetPARSession(ctx, uri)
}

// anySubject does not look at the subject for whom a key may speak.
type anySubject struct{ memory }

func (m anySubject) GetPublicKey(_ context.Context, issuer, _, keyID string) (*jose.JSONWebKey, error) {
	for _, keys := range m.IssuerPublicKeys[issuer].KeysBySub {
		if key, ok := keys.Keys[keyID]; ok {
			return key.Key, nil
		}
	}
	return nil, fosite.ErrNotFound
}

// oneKey knows one key of an issuer for a subject.
type oneKey struct{ memory }

func (m oneKey) GetPublicKeys(ctx context.Context, issuer, subject string) (*jose.JSONWebKeySet, error) {
	keys, err := m.memory.GetPublicKeys(ctx, issuer, subject)
	if err == nil {
		keys.Keys = keys.Keys[:1]
	}
	return keys, err
}

// noKeys answers with an empty set and without an error.
type noKeys struct{ memory }

func (m noKeys) GetPublicKeys(ctx context.Context, issuer, subject string) (*jose.JSONWebKeySet, error) {
	keys, err := m.memory.GetPublicKeys(ctx, issuer, subject)
	if err != nil {
		return &jose.JSONWebKeySet{}, nil
	}
	return keys, nil
}

// lookThenMark looks an assertion up and marks it in two steps.
type lookThenMark struct{ memory }

func (m lookThenMark) MarkJWTUsedForTime(ctx context.Context, jti string, exp time.Time) error {
	if used, _ := m.IsJWTUsed(ctx, jti); used {
		return fosite.ErrJTIKnown
	}
	time.Sleep(time.Millisecond)
	_ = m.memory.MarkJWTUsedForTime(ctx, jti, exp)
	return nil
}

// forgetsAssertions has the method and does nothing in it.
type forgetsAssertions struct{ memory }

func (forgetsAssertions) MarkJWTUsedForTime(context.Context, string, time.Time) error { return nil }

// strictExpiry refuses to mark an assertion whose time has passed by its own clock.
type strictExpiry struct{ memory }

func (m strictExpiry) MarkJWTUsedForTime(ctx context.Context, jti string, exp time.Time) error {
	if time.Until(exp) <= 0 {
		return fosite.ErrJTIKnown
	}
	return m.memory.MarkJWTUsedForTime(ctx, jti, exp)
}

func TestSuiteFindsMistakesInRequests(t *testing.T) {
	for name, mutant := range map[string]struct {
		store  func(memory) oauth2.TokenRevocationStorage
		caught []string
	}{
		"a used code is deleted": {
			func(s memory) oauth2.TokenRevocationStorage { return deletesCodes{s} },
			[]string{"codes/a used code returns its request with ErrInvalidatedAuthorizeCode", "code handler/detects the second redemption and ends the session"},
		},
		"a used code without its request": {
			func(s memory) oauth2.TokenRevocationStorage { return usedAlone{s} },
			[]string{"codes/a used code returns its request with ErrInvalidatedAuthorizeCode", "code handler/detects the second redemption and ends the session"},
		},
		"a used code is as good as new": {
			func(s memory) oauth2.TokenRevocationStorage { return usedIsFine{s} },
			[]string{"codes/a redeemed code is used and its tokens are accepted", "code handler/detects the second redemption and ends the session"},
		},
		"an unknown code is invalidated": {
			func(s memory) oauth2.TokenRevocationStorage { return anyCode{s} },
			[]string{"codes/invalidating an unknown code creates none", "codes/an unknown code issues no refresh token"},
		},
		"upper and lower case are the same": {
			func(s memory) oauth2.TokenRevocationStorage { return anyCase{s} },
			[]string{"codes/keys of any shape are kept apart"},
		},
		"a code without its redirect URI": {
			func(s memory) oauth2.TokenRevocationStorage { return noRedirectURI{s} },
			[]string{"codes/what was stored comes back", "code handler/issues nothing for a wrong verifier, redirect URI or code"},
		},
		"a PKCE request without the challenge": {
			func(s memory) oauth2.TokenRevocationStorage { return noChallenge{s} },
			[]string{"pkce/what was stored comes back", "code handler/redeems a code"},
		},
		"code and challenge in one record": {
			func(s memory) oauth2.TokenRevocationStorage { return oneRecord{s} },
			[]string{"pkce/the code of the same signature is kept apart"},
		},
		"a nil session ends the request": {
			func(s memory) oauth2.TokenRevocationStorage { return needsSession{s} },
			[]string{
				"codes/a nil session is allowed", "pkce/a nil session is allowed", "openid/a nil session is allowed",
				"par/what was stored comes back",
			},
		},
		"a code without a refresh token stays open": {
			func(s memory) oauth2.TokenRevocationStorage { return needsRefresh{s, new(string)} },
			[]string{"codes/a code without a refresh token is redeemed too"},
		},
		"access tokens of a code survive": {
			func(s memory) oauth2.TokenRevocationStorage { return keepsTokens{s} },
			[]string{"codes/revoking the request of a redeemed code ends its tokens"},
		},
		"all requests in one table": {
			func(s memory) oauth2.TokenRevocationStorage { return oneTable{s} },
			[]string{"openid/a code and a PKCE request of the same key are kept apart"},
		},
		"nothing is removed": {
			func(s memory) oauth2.TokenRevocationStorage { return keepsAll{s} },
			[]string{
				"pkce/a removed one is not found, and others stay", "openid/a removed one is not found, and others stay",
				"par/a removed one is not found, and others stay", "par/fosite continues it once", "code handler/issues an ID token once",
			},
		},
		"an OpenID Connect request without its nonce": {
			func(s memory) oauth2.TokenRevocationStorage { return noNonce{s} },
			[]string{"openid/what was stored comes back", "code handler/issues an ID token once"},
		},
		"the caller's request comes back": {
			func(s memory) oauth2.TokenRevocationStorage { return callersRequest{s} },
			[]string{"openid/what was stored comes back"},
		},
		"an error of its own for what is unknown": {
			func(s memory) oauth2.TokenRevocationStorage { return noRows{s} },
			[]string{
				"codes/an unknown one is not found", "pkce/an unknown one is not found", "openid/an unknown one is not found",
				"par/an unknown one is not found", "pkce/removing an unknown one is not an error",
				"openid/removing an unknown one is not an error", "par/removing an unknown one is not an error",
			},
		},
		"a pushed request without state and response mode": {
			func(s memory) oauth2.TokenRevocationStorage { return noMode{s} },
			[]string{"par/what was stored comes back", "par/fosite continues it once"},
		},
		"the caller's form is cleaned": {
			func(s memory) oauth2.TokenRevocationStorage { return cleansCaller{s} },
			[]string{"par/the caller's request is not changed"},
		},
		"a pushed request is read once": {
			func(s memory) oauth2.TokenRevocationStorage { return oneLook{s} },
			[]string{"par/what was stored comes back"},
		},
		"a key speaks for any subject": {
			func(s memory) oauth2.TokenRevocationStorage { return anySubject{s} },
			[]string{"assertion keys/keys of other issuers and subjects are not found"},
		},
		"one key of several": {
			func(s memory) oauth2.TokenRevocationStorage { return oneKey{s} },
			[]string{"assertion keys/a key that was added is found with its scopes"},
		},
		"an unknown issuer has no keys": {
			func(s memory) oauth2.TokenRevocationStorage { return noKeys{s} },
			[]string{"assertion keys/keys of other issuers and subjects are not found"},
		},
		"an assertion is looked up, then marked": {
			func(s memory) oauth2.TokenRevocationStorage { return lookThenMark{s} },
			[]string{"assertion keys/an assertion sent many times at once is accepted once"},
		},
		"assertions are forgotten": {
			func(s memory) oauth2.TokenRevocationStorage { return forgetsAssertions{s} },
			[]string{"assertion keys/a used assertion is known", "assertion keys/fosite accepts an assertion once"},
		},
		"an expired assertion is known": {
			func(s memory) oauth2.TokenRevocationStorage { return strictExpiry{s} },
			[]string{"assertion keys/an assertion that has already expired can be marked"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			mustFail(t, name, mutant.caught, func(*testing.T) storagetest.Fixture {
				s := storage.NewMemoryStore()
				return memoryFixture(s, mutant.store(memory{s}))
			})
		})
	}
}
