package storagetest

import (
	"errors"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// calls lists every method of the store, each on a login of its own, because what was sent into an outage may happen
// when it is over.
func (c *check) calls() map[string]func() error {
	l := func() login { return c.login("alice") }
	read1, read2, drop1, drop2, end1, end2, turn := l(), l(), l(), l(), l(), l(), l()
	create := c.fresh("alice")
	s := c.Storage
	calls := map[string]func() error{
		"GetAccessTokenSession":     func() error { _, err := c.getAccess(read1); return err },
		"GetRefreshTokenSession":    func() error { _, err := c.getRefresh(read2); return err },
		"CreateAccessTokenSession":  func() error { return s.CreateAccessTokenSession(c.ctx, create.access, create.req) },
		"CreateRefreshTokenSession": func() error { return s.CreateRefreshTokenSession(c.ctx, create.refresh, create.access, create.req) },
		"DeleteAccessTokenSession":  func() error { return s.DeleteAccessTokenSession(c.ctx, drop1.access) },
		"DeleteRefreshTokenSession": func() error { return s.DeleteRefreshTokenSession(c.ctx, drop2.refresh) },
		"RevokeAccessToken":         func() error { return s.RevokeAccessToken(c.ctx, end1.req.GetID()) },
		"RevokeRefreshToken":        func() error { return s.RevokeRefreshToken(c.ctx, end2.req.GetID()) },
		"a rotation":                func() error { _, err := c.rotate(turn); return err },
		"an unknown access token": func() error {
			_, err := s.GetAccessTokenSession(c.ctx, c.Signature(create.req.GetID()), nil)
			return err
		},
		"an unknown refresh token": func() error {
			_, err := s.GetRefreshTokenSession(c.ctx, c.Signature(create.req.GetID()), nil)
			return err
		},
		"revoking an unknown session": func() error { return s.RevokeRefreshToken(c.ctx, c.RequestID("alice")) },
	}
	if m, ok := s.(fosite.ClientManager); ok {
		calls["GetClient"] = func() error { _, err := m.GetClient(c.ctx, "another-client"); return err }
		calls["ClientAssertionJWTValid"] = func() error { return m.ClientAssertionJWTValid(c.ctx, "assertion-1") }
		calls["SetClientAssertionJWT"] = func() error { return m.SetClientAssertionJWT(c.ctx, "assertion-2", time.Now().Add(time.Hour)) }
	}
	if u, ok := s.(oauth2.ResourceOwnerPasswordCredentialsGrantStorage); ok {
		calls["Authenticate"] = func() error { _, err := u.Authenticate(c.ctx, "bob", "secret"); return err }
	}
	return calls
}

func (c *check) breaks() func() (heal func()) {
	if c.Break == nil {
		c.skip("the fixture cannot break the store")
	}
	return c.Break
}

var outageCases = []testCase{
	{"is no verdict about anything", func(c *check) {
		fail := c.breaks()
		calls := c.calls()
		heal := fail()
		var all sync.WaitGroup
		for name, call := range calls {
			all.Go(func() {
				begun := time.Now()
				err := call()
				took := time.Since(begun)
				switch {
				case err == nil:
					c.errorf("%s succeeds", name)
				case verdict(err) || errors.Is(err, fosite.ErrJTIKnown):
					c.errorf("%s: %v is a verdict", name, err)
				case c.Unavailable != nil && !errors.Is(err, c.Unavailable):
					c.errorf("%s: %v is not %v", name, err, c.Unavailable)
				}
				if c.AnswerWithin > 0 && took > c.AnswerWithin {
					c.errorf("%s took %v, want at most %v", name, took, c.AnswerWithin)
				}
			})
		}
		all.Wait()
		heal()
	}},
	{"leaves every session as it was", func(c *check) {
		fail := c.breaks()
		l := c.login("alice")
		old := c.login("bob")
		next := c.mustRotate(old)
		heal := fail()
		_, _ = c.getRefresh(l)
		heal()
		c.recover(l)
		req, err := c.getRefresh(l)
		c.wantAlive("the refresh token after the outage", req, err)
		req, err = c.getAccess(l)
		c.wantAlive("the access token after the outage", req, err)
		req, err = c.getRefresh(next)
		c.wantAlive("a rotated token after the outage", req, err)
		c.outliveGrace()
		c.wantInactive("a used token after the outage", old)
		c.mustRotate(next)
	}},
	{"in the middle of a refresh costs no session", func(c *check) {
		fail := c.breaks()
		old := c.login("alice")
		heal := fail()
		lost, err := c.rotate(old)
		if err == nil || verdict(err) {
			c.errorf("rotation during an outage: error %v, want one that is no verdict", err)
		}
		heal()
		c.recover(old)
		// The step was not taken, or it was: the session must go on from one of the two.
		_, errOld := c.getRefresh(old)
		_, errLost := c.getRefresh(lost)
		if errOld != nil && errLost != nil {
			c.errorf("neither the token shown (%v) nor the one never answered (%v) is good", errOld, errLost)
		}
	}},
}

// recover waits until the store answers again.
func (c *check) recover(l login) {
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err = c.getRefresh(l); err == nil || verdict(err) {
			return
		}
	}
	c.errorf("no answer 5s after the outage: %v", err)
}
