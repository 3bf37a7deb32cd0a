package storagetest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// atOnce invalidates a code outside of the transaction that redeems it.
type atOnce struct{ whole }

func (m atOnce) InvalidateAuthorizeCodeSession(_ context.Context, signature string) error {
	return m.whole.InvalidateAuthorizeCodeSession(context.Background(), signature)
}

// afterwards looks at the code in the transaction and invalidates it after the commit.
type afterwards struct {
	whole
	mu      *sync.Mutex
	pending map[context.Context]string
}

func (m afterwards) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	_, err := m.GetAuthorizeCodeSession(ctx, signature, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending[ctx] = signature
	return err
}

func (m afterwards) Commit(ctx context.Context) error {
	if err := m.whole.Commit(ctx); err != nil {
		return err
	}
	time.Sleep(5 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.whole.InvalidateAuthorizeCodeSession(context.Background(), m.pending[ctx])
	return nil
}

// tokensAtOnce writes the tokens outside of the transaction.
type tokensAtOnce struct{ whole }

func (m tokensAtOnce) CreateAccessTokenSession(_ context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreateAccessTokenSession(context.Background(), signature, req)
}

func (m tokensAtOnce) CreateRefreshTokenSession(_ context.Context, signature, access string, req fosite.Requester) error {
	return m.whole.CreateRefreshTokenSession(context.Background(), signature, access, req)
}

// requestsAtOnce writes and removes requests outside of the transaction.
type requestsAtOnce struct{ whole }

func (m requestsAtOnce) CreateAuthorizeCodeSession(_ context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreateAuthorizeCodeSession(context.Background(), signature, req)
}

func (m requestsAtOnce) CreatePKCERequestSession(_ context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreatePKCERequestSession(context.Background(), signature, req)
}

func (m requestsAtOnce) DeletePKCERequestSession(_ context.Context, signature string) error {
	return m.whole.DeletePKCERequestSession(context.Background(), signature)
}

func (m requestsAtOnce) DeleteOpenIDConnectSession(_ context.Context, code string) error {
	return m.whole.DeleteOpenIDConnectSession(context.Background(), code)
}

// removesLater leaves what a transaction removes to its expiry.
type removesLater struct{ whole }

func (removesLater) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// emptied empties the session that it fills, together with what fosite's handler has set since the last time.
type emptied struct{ whole }

func empty(s fosite.Session) {
	if own, ok := s.(*storagetest.Session); ok {
		*own = storagetest.Session{}
	}
}

func (m emptied) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	empty(s)
	return m.whole.GetAuthorizeCodeSession(ctx, signature, s)
}

func (m emptied) GetPKCERequestSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	empty(s)
	return m.whole.GetPKCERequestSession(ctx, signature, s)
}

// plainSession returns a session of its own type, which fosite cannot make an ID token of.
type plainSession struct{ whole }

func (m plainSession) GetOpenIDConnectSession(ctx context.Context, code string, r fosite.Requester) (fosite.Requester, error) {
	req, err := m.whole.GetOpenIDConnectSession(ctx, code, r)
	if err == nil {
		req.(*fosite.Request).SetSession(&fosite.DefaultSession{Subject: req.GetSession().GetSubject()})
	}
	return req, err
}

// oneAtATime refuses a redemption while another one runs, of whichever code.
type oneAtATime struct {
	whole
	mu *sync.Mutex
}

func (m oneAtATime) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	if !m.mu.TryLock() {
		return fosite.ErrSerializationFailure
	}
	defer m.mu.Unlock()
	time.Sleep(time.Millisecond)
	return m.whole.InvalidateAuthorizeCodeSession(ctx, signature)
}

func TestSuiteFindsMistakesInRedemptions(t *testing.T) {
	storeMutants{
		"a code is invalidated outside of the transaction": {
			func(s whole) whole { return atOnce{s} },
			[]string{
				"code transaction/a code is open until the transaction that redeems it is committed",
				"code transaction/a redemption that is rolled back leaves the code open",
			},
		},
		"a code is invalidated after the commit": {
			func(s whole) whole { return afterwards{s, &sync.Mutex{}, map[context.Context]string{}} },
			[]string{
				"code transaction/of two that redeem one code only one commits",
				"code transaction/a commit after the code was invalidated writes nothing",
				"code concurrency/of concurrent redemptions one wins", "code handler/answers one of concurrent redemptions",
			},
		},
		"tokens are written outside of the transaction": {
			func(s whole) whole { return tokensAtOnce{s} },
			[]string{
				"code transaction/a code is open until the transaction that redeems it is committed",
				"code transaction/a redemption that is rolled back leaves the code open",
				"code transaction/of two that redeem one code only one commits",
				"code concurrency/the losers of concurrent redemptions write no access token",
			},
		},
		"requests are written outside of the transaction": {
			func(s whole) whole { return requestsAtOnce{s} },
			[]string{
				"codes/what a transaction creates is not there after the rollback", "pkce/what a transaction creates is there after the commit",
				"pkce/a removal that is rolled back removes nothing", "openid/a removal that is rolled back removes nothing",
			},
		},
		"requests are not removed in a transaction": {
			func(s whole) whole { return removesLater{s} },
			[]string{"openid/a removal that is committed removes the request"},
		},
		"the session given is emptied": {
			func(s whole) whole { return emptied{s} },
			[]string{"code handler/gives its tokens their own expiry"},
		},
		"one redemption at a time": {
			func(s whole) whole { return oneAtATime{s, &sync.Mutex{}} },
			[]string{"code concurrency/concurrent redemptions of different codes do not affect each other"},
		},
		"a session of the store's own type": {
			func(s whole) whole { return plainSession{s} },
			[]string{"openid/the request has a session of the caller's type", "code handler/issues an ID token once"},
		},
	}.mustFail(t)
}
