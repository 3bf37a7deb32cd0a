package storagetest

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite/handler/verifiable"
)

// nonceManager returns the store's nonces for verifiable credentials, or skips the test.
func (c *check) nonceManager() verifiable.NonceManager {
	m, ok := c.Storage.(verifiable.NonceManager)
	if !ok {
		c.skip("the store has no nonces")
	}
	return m
}

func (c *check) newNonce(access string, ttl time.Duration) string {
	nonce, err := c.nonceManager().NewNonce(c.ctx, access, time.Now().UTC().Add(ttl))
	c.must(err, "NewNonce")
	return nonce
}

// wantInvalidNonce checks that a nonce is refused. No error of fosite is for that, so any but the store's outage will do.
func (c *check) wantInvalidNonce(what, access, nonce string) {
	switch err := c.nonceManager().IsNonceValid(c.ctx, access, nonce); {
	case err == nil:
		c.errorf("%s is valid", what)
	case c.Unavailable != nil && errors.Is(err, c.Unavailable):
		c.errorf("%s: %v is not a refusal", what, err)
	}
}

const accessToken = "ory_at_an-access.token" // #nosec G101 -- a test value

var nonceCases = []testCase{
	{"a nonce is valid for its access token", func(c *check) {
		m := c.nonceManager()
		one, two := c.newNonce(accessToken, time.Hour), c.newNonce(accessToken, time.Hour)
		if one == "" || one == two {
			c.errorf("nonces %q and %q, want two different ones", one, two)
		}
		c.must(m.IsNonceValid(c.ctx, accessToken, one), "IsNonceValid")
		c.must(m.IsNonceValid(c.ctx, accessToken, two), "IsNonceValid of another nonce of the token")
	}},
	{"a nonce is not valid for another access token", func(c *check) {
		nonce := c.newNonce(accessToken, time.Hour)
		c.newNonce("another-token", time.Hour)
		for _, other := range []string{"another-token", "never-seen", "", accessToken + "x", strings.ToUpper(accessToken)} {
			c.wantInvalidNonce("the nonce with access token "+other, other, nonce)
		}
		c.must(c.nonceManager().IsNonceValid(c.ctx, accessToken, nonce), "IsNonceValid after that")
	}},
	{"an unknown nonce is not valid", func(c *check) {
		nonce := c.newNonce(accessToken, time.Hour)
		for _, n := range append(malformedSignatures(), nonce+"x", nonce[:len(nonce)-1], accessToken) {
			c.wantInvalidNonce("an unknown nonce", accessToken, n)
		}
	}},
	{"a nonce that has already expired is not valid", func(c *check) {
		m := c.nonceManager()
		nonce, err := m.NewNonce(c.ctx, accessToken, time.Now().Add(-time.Minute))
		if err == nil {
			c.wantInvalidNonce("an expired nonce", accessToken, nonce)
		}
	}},
	{"nonces made at once are different and all valid", func(c *check) {
		m := c.nonceManager()
		var mu sync.Mutex
		nonces := map[string]bool{}
		parallel(32, func(int) {
			nonce, err := m.NewNonce(c.ctx, accessToken, time.Now().Add(time.Hour))
			if err != nil {
				c.errorf("NewNonce: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			nonces[nonce] = true
		})
		if len(nonces) != 32 {
			c.errorf("%d different nonces, want 32", len(nonces))
		}
		for nonce := range nonces {
			if err := m.IsNonceValid(c.ctx, accessToken, nonce); err != nil {
				c.errorf("IsNonceValid: %v", err)
			}
		}
	}},
}
