package storagetest_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/ory/fosite"
)

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

func (keepsAll) DeletePKCERequestSession(context.Context, string) error { return nil }

func (keepsAll) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

func (keepsAll) DeletePARSession(context.Context, string) error { return nil }

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

func TestSuiteFindsMistakesInRequests(t *testing.T) {
	memoryMutants{
		"a nil session ends the request": {
			func(s memory) revocable { return needsSession{s} },
			[]string{
				"codes/a nil session is allowed", "pkce/a nil session is allowed", "openid/a nil session is allowed",
				"par/what was stored comes back",
			},
		},
		"a PKCE request without the challenge": {
			func(s memory) revocable { return noChallenge{s} },
			[]string{"pkce/what was stored comes back", "code handler/redeems a code"},
		},
		"an OpenID Connect request without its nonce": {
			func(s memory) revocable { return noNonce{s} },
			[]string{"openid/what was stored comes back", "code handler/issues an ID token once"},
		},
		"code and challenge in one record": {
			func(s memory) revocable { return oneRecord{s} },
			[]string{"pkce/the code of the same signature is kept apart"},
		},
		"all requests in one table": {
			func(s memory) revocable { return oneTable{s} },
			[]string{"openid/a code and a PKCE request of the same key are kept apart"},
		},
		"nothing is removed": {
			func(s memory) revocable { return keepsAll{s} },
			[]string{
				"pkce/a removed one is not found, and others stay", "openid/a removed one is not found, and others stay",
				"par/a removed one is not found, and others stay", "par/fosite continues it once", "code handler/issues an ID token once",
			},
		},
		"an error of its own for what is unknown": {
			func(s memory) revocable { return noRows{s} },
			[]string{
				"codes/an unknown one is not found", "pkce/an unknown one is not found", "openid/an unknown one is not found",
				"par/an unknown one is not found", "pkce/removing an unknown one is not an error",
				"openid/removing an unknown one is not an error", "par/removing an unknown one is not an error",
			},
		},
		"the caller's request comes back": {
			func(s memory) revocable { return callersRequest{s} },
			[]string{"openid/what was stored comes back"},
		},
	}.mustFail(t)
}
