package storagetest_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

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

// namesCodes uses the code as the key of its OpenID Connect request.
type namesCodes struct {
	whole
	keys map[string]bool
}

func (m namesCodes) CreateOpenIDConnectSession(ctx context.Context, code string, req fosite.Requester) error {
	m.keys["openid:"+code] = true
	return m.whole.CreateOpenIDConnectSession(ctx, code, req)
}

func TestSuiteFindsMistakesInExpiry(t *testing.T) {
	storeMutants{
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
		"tokens end with their code": {func(s whole) whole { return endsWithCode{s} }, []string{"expiry/tokens outlive their code"}},
	}.mustFail(t)
}

// The mutants of this test see more of the fixture than the store.
func TestSuiteFindsCodesThatAreForgottenOrKept(t *testing.T) {
	mustFail(t, "a used code is known for one second", []string{"expiry/a used code is told apart until it expires"}, func(t *testing.T) storagetest.Fixture {
		clock := &clock{}
		f := redisFixture(t, func(s *storage.Store) revocable {
			return forgetful{all(t, s), clock, &sync.Mutex{}, map[string]time.Time{}}
		})
		advance := f.Advance
		f.Advance = func(d time.Duration) { clock.advance(d); advance(d) }
		return f
	})
	mustFail(t, "a code is the name of a record", []string{"openid/the code does not name its record"}, func(t *testing.T) storagetest.Fixture {
		keys := map[string]bool{}
		f := redisFixture(t, func(s *storage.Store) revocable { return namesCodes{all(t, s), keys} })
		f.Leftovers = func() ([]string, error) { return slices.Collect(maps.Keys(keys)), nil }
		return f
	})
}
