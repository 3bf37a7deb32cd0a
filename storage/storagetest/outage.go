package storagetest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// storeCalls lists every method of the store. Each has its own login, because a call that was sent during an outage may still
// be executed after it.
func (c *check) storeCalls() map[string]func() error {
	l := func() login { return c.login("alice") }
	read1, read2, drop1, drop2, end1, end2, turn := l(), l(), l(), l(), l(), l(), l()
	create := c.newLogin("alice")
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
	c.furtherCalls(func(name string, call func() error) { calls[name] = call })
	return calls
}

func (c *check) outage() func() (heal func()) {
	if c.Break == nil {
		c.skip("the fixture cannot break the store")
	}
	return c.Break
}

var outageCases = []testCase{
	{"every call returns an error that is not a refusal", func(c *check) {
		fail := c.outage()
		calls := c.storeCalls()
		heal := fail()
		pending := map[string]bool{}
		type answer struct {
			name string
			err  error
		}
		answers := make(chan answer, len(calls))
		for name, call := range calls {
			pending[name] = true
			go func() { answers <- answer{name, call()} }()
		}
		hang := time.After(30 * time.Second)
		for range calls {
			select {
			case a := <-answers:
				delete(pending, a.name)
				c.wantUnavailable(a.name, a.err)
			case <-hang:
				c.fatalf("still no answer after 30s: %v", slices.Sorted(maps.Keys(pending)))
			}
		}
		heal()
	}},
	{"sessions are unchanged after it", func(c *check) {
		fail := c.outage()
		l := c.login("alice")
		old := c.login("bob")
		next := c.mustRotate(old)
		heal := fail()
		_, _ = c.getRefresh(l)
		heal()
		c.recover(l)
		req, err := c.getRefresh(l)
		c.wantAccepted("the refresh token after the outage", req, err)
		req, err = c.getAccess(l)
		c.wantAccepted("the access token after the outage", req, err)
		req, err = c.getRefresh(next)
		c.wantAccepted("a rotated token after the outage", req, err)
		c.passGrace()
		c.wantInactive("a used token after the outage", old)
		c.mustRotate(next)
	}},
	{"a refresh during it does not lose the session", func(c *check) {
		fail := c.outage()
		old := c.login("alice")
		heal := fail()
		lost, err := c.rotate(old)
		if err == nil || isRefusal(err) {
			c.errorf("rotation during an outage: error %v, want one that is not a refusal", err)
		}
		heal()
		c.recover(old)
		// The rotation was executed or not: one of the two tokens must be accepted.
		_, errOld := c.getRefresh(old)
		_, errLost := c.getRefresh(lost)
		if errOld != nil && errLost != nil {
			c.errorf("neither the old token (%v) nor the new one (%v) is accepted", errOld, errLost)
		}
	}},
}

// wantUnavailable checks the error of a call during an outage.
func (c *check) wantUnavailable(name string, err error) {
	switch {
	case err == nil:
		c.errorf("%s succeeds", name)
	case isRefusal(err) || errors.Is(err, fosite.ErrJTIKnown):
		c.errorf("%s: %v is a refusal", name, err)
	case c.Unavailable != nil && !errors.Is(err, c.Unavailable):
		c.errorf("%s: %v is not %v", name, err, c.Unavailable)
	}
}

// recover waits until the store answers again.
func (c *check) recover(l login) {
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err = c.getRefresh(l); err == nil || isRefusal(err) {
			return
		}
	}
	c.errorf("no answer 30s after the outage: %v", err)
}
