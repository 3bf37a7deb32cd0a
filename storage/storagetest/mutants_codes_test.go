package storagetest_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/handler/rfc7523"
	"github.com/ory/fosite/handler/verifiable"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// whole is all of fosite's storage but clients and users. The mutants of this file wrap this module's store.
type whole interface {
	tokens
	oauth2.AuthorizeCodeStorage
	pkce.PKCERequestStorage
	openid.OpenIDConnectRequestStorage
	fosite.PARStorage
	rfc7523.RFC7523KeyStorage
	verifiable.NonceManager
}

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

// stays adds an hour to every expiry.
type stays struct{ whole }

func later(req fosite.Requester, kind fosite.TokenType) fosite.Requester {
	changed := without(req, "")
	changed.SetSession(req.GetSession().Clone())
	changed.GetSession().SetExpiresAt(kind, time.Now().Add(time.Hour))
	return changed
}

func (m stays) CreateAuthorizeCodeSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreateAuthorizeCodeSession(ctx, signature, later(req, fosite.AuthorizeCode))
}

func (m stays) CreatePKCERequestSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreatePKCERequestSession(ctx, signature, later(req, fosite.AuthorizeCode))
}

func (m stays) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	return m.whole.CreateOpenIDConnectSession(ctx, code, later(req, fosite.AuthorizeCode))
}

func (m stays) CreatePARSession(ctx context.Context, uri string, req fosite.AuthorizeRequester) error {
	if req.GetSession() != nil {
		req.GetSession().SetExpiresAt(fosite.PushedAuthorizeRequestContext, time.Now().Add(time.Hour))
	}
	return m.whole.CreatePARSession(ctx, uri, req)
}

func (m stays) MarkJWTUsedForTime(ctx context.Context, jti string, exp time.Time) error {
	return m.whole.MarkJWTUsedForTime(ctx, jti, exp.Add(2*time.Hour))
}

func (m stays) NewNonce(ctx context.Context, access string, exp time.Time) (string, error) {
	return m.whole.NewNonce(ctx, access, exp.Add(2*time.Hour))
}

// forgetful knows a used code for one second.
type forgetful struct {
	whole
	clock *clock
	mu    *sync.Mutex
	used  map[string]time.Time
}

// clock is the time with what the suite has let pass.
type clock struct {
	mu     sync.Mutex
	passed time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.passed)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

func (m forgetful) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used[signature] = m.clock.now()
	return m.whole.InvalidateAuthorizeCodeSession(ctx, signature)
}

func (m forgetful) GetAuthorizeCodeSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.used[signature]; ok && m.clock.now().Sub(at) > time.Second {
		return nil, fosite.ErrNotFound
	}
	return m.whole.GetAuthorizeCodeSession(ctx, signature, s)
}

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

// endsWithCode gives the tokens of a code the expiry of the code.
type endsWithCode struct{ whole }

func (m endsWithCode) CreateAccessTokenSession(ctx context.Context, signature string, req fosite.Requester) error {
	return m.whole.CreateAccessTokenSession(ctx, signature, shorter(req))
}

func (m endsWithCode) CreateRefreshTokenSession(ctx context.Context, signature, access string, req fosite.Requester) error {
	return m.whole.CreateRefreshTokenSession(ctx, signature, access, shorter(req))
}

func shorter(req fosite.Requester) fosite.Requester {
	changed := without(req, "")
	changed.SetSession(req.GetSession().Clone())
	for _, kind := range []fosite.TokenType{fosite.AccessToken, fosite.RefreshToken} {
		changed.GetSession().SetExpiresAt(kind, time.Now().Add(3*time.Second))
	}
	return changed
}

// anyNonce has the method and checks nothing in it.
type anyNonce struct{ whole }

func (anyNonce) IsNonceValid(context.Context, string, string) error { return nil }

// unbound makes nonces for whichever access token.
type unbound struct{ whole }

func (m unbound) NewNonce(ctx context.Context, _ string, exp time.Time) (string, error) {
	return m.whole.NewNonce(ctx, "", exp)
}

func (m unbound) IsNonceValid(ctx context.Context, _, nonce string) error {
	return m.whole.IsNonceValid(ctx, "", nonce)
}

// oneNonce keeps one nonce for each access token.
type oneNonce struct {
	whole
	mu     *sync.Mutex
	nonces map[string]string
}

func (m oneNonce) NewNonce(ctx context.Context, access string, exp time.Time) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if nonce, ok := m.nonces[access]; ok {
		return nonce, nil
	}
	nonce, err := m.whole.NewNonce(ctx, access, exp)
	m.nonces[access] = nonce
	return nonce, err
}

// namesCodes uses the code as the key of its OpenID Connect request.
type namesCodes struct {
	whole
	keys map[string]bool
}

func (m namesCodes) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	m.keys["openid:"+code] = true
	return m.whole.CreateOpenIDConnectSession(ctx, code, req)
}

func TestSuiteFindsMistakesInCodes(t *testing.T) {
	const everyCall = "outage/every call returns an error that is not a refusal"
	for name, mutant := range map[string]struct {
		store  func(whole) whole
		caught []string
	}{
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
		"the session given is emptied": {
			func(s whole) whole { return emptied{s} },
			[]string{"code handler/gives its tokens their own expiry"},
		},
		"a session of the store's own type": {
			func(s whole) whole { return plainSession{s} },
			[]string{"openid/the request has a session of the caller's type", "code handler/issues an ID token once"},
		},
		"everything stays for another hour": {
			func(s whole) whole { return stays{s} },
			[]string{
				"expiry/codes expire", "expiry/expired codes leave nothing behind",
				"expiry/expired PKCE and OpenID Connect requests leave nothing behind",
				"expiry/pushed requests expire", "expiry/expired pushed requests leave nothing behind",
				"expiry/an assertion of the JWT bearer grant is forgotten when it has expired",
				"expiry/nonces expire", "expiry/expired nonces and assertions leave nothing behind",
			},
		},
		"all errors are refusals": {
			func(s whole) whole { return allRefusals{s} },
			[]string{everyCall, "codes/a canceled context is not a refusal", "outage/a redemption during it does not lose the code"},
		},
		"one redemption at a time": {
			func(s whole) whole { return oneAtATime{s, &sync.Mutex{}} },
			[]string{"code concurrency/concurrent redemptions of different codes do not affect each other"},
		},
		"an outage is remembered": {
			func(s whole) whole { return remembersFailure{s, &sync.Mutex{}, map[string]bool{}} },
			[]string{"outage/codes are unchanged after it"},
		},
		"tokens end with their code": {func(s whole) whole { return endsWithCode{s} }, []string{"expiry/tokens outlive their code"}},
		"every nonce is valid": {
			func(s whole) whole { return anyNonce{s} },
			[]string{
				"nonces/an unknown nonce is not valid", "nonces/a nonce that has already expired is not valid",
				"nonces/a nonce is not valid for another access token", "expiry/nonces expire",
			},
		},
		"in doubt an assertion was used":  {func(s whole) whole { return usedInDoubt{s} }, []string{everyCall}},
		"a nonce for every access token":  {func(s whole) whole { return unbound{s} }, []string{"nonces/a nonce is not valid for another access token"}},
		"one nonce for each access token": {func(s whole) whole { return oneNonce{s, &sync.Mutex{}, map[string]string{}} }, []string{"nonces/nonces made at once are different and all valid"}},
	} {
		t.Run(name, func(t *testing.T) {
			mustFail(t, name, mutant.caught, func(t *testing.T) storagetest.Fixture {
				return redisFixture(t, func(s *storage.Store) oauth2.TokenRevocationStorage { return mutant.store(all(t, s)) })
			})
		})
	}
}

// The mutants of this test see more of the fixture than the store.
func TestSuiteFindsCodesThatAreForgottenOrKept(t *testing.T) {
	mustFail(t, "a used code is known for one second", []string{"expiry/a used code is told apart until it expires"}, func(t *testing.T) storagetest.Fixture {
		clock := &clock{}
		f := redisFixture(t, func(s *storage.Store) oauth2.TokenRevocationStorage {
			return forgetful{all(t, s), clock, &sync.Mutex{}, map[string]time.Time{}}
		})
		advance := f.Advance
		f.Advance = func(d time.Duration) { clock.advance(d); advance(d) }
		return f
	})
	mustFail(t, "a code is the name of a record", []string{"openid/the code does not name its record"}, func(t *testing.T) storagetest.Fixture {
		keys := map[string]bool{}
		f := redisFixture(t, func(s *storage.Store) oauth2.TokenRevocationStorage { return namesCodes{all(t, s), keys} })
		f.Leftovers = func() ([]string, error) { return slices.Collect(maps.Keys(keys)), nil }
		return f
	})
}

func all(t *testing.T, s any) whole {
	t.Helper()
	w, ok := s.(whole)
	if !ok {
		t.Fatalf("%T does not have all of fosite's storage", s)
	}
	return w
}
