package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ory/fosite"
)

// parallel runs f n times at once.
func parallel(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			f(i)
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// race lets n callers refresh one token, as fosite does: look it up, then rotate. It returns the new tokens of those who succeeded.
func (c *check) race(n int, old login) []login {
	var mu sync.Mutex
	var winners []login
	parallel(n, func(int) {
		if _, err := c.getRefresh(old); err != nil {
			if !isRefusal(err) {
				c.errorf("a loser's look-up: %v is not a refusal", err)
			}
			return
		}
		next, err := c.rotate(old)
		if err != nil {
			if !isRefusal(err) {
				c.errorf("a loser's rotation: %v is none of ErrSerializationFailure, ErrInactiveToken, ErrNotFound", err)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		winners = append(winners, next)
	})
	if len(winners) == 0 {
		c.fatalf("%d callers refreshed one token and none succeeded: the session is lost", n)
	}
	if c.Grace == 0 && len(winners) > 1 {
		c.errorf("%d callers refreshed one token and %d succeeded, want one", n, len(winners))
	}
	for _, w := range winners {
		req, err := c.getRefresh(w)
		c.wantAccepted("a winner's refresh token", req, err)
		req, err = c.getAccess(w)
		c.wantAccepted("a winner's access token", req, err)
	}
	return winners
}

var concurrencyCases = []testCase{
	{"concurrent refreshes of one token have one winner", func(c *check) {
		for range 10 {
			c.race(16, c.login("alice"))
		}
	}},
	{"concurrent refreshes have one winner in every generation", func(c *check) {
		generations := []login{c.login("alice")}
		for range 6 {
			generations = append(generations, c.race(8, generations[len(generations)-1])[0])
		}
		c.passGrace()
		for i, l := range generations[:6] {
			c.wantInactive(fmt.Sprintf("generation %d", i), l)
		}
	}},
	{"concurrent logins of one user are all kept", func(c *check) {
		logins := make([]login, 32)
		parallel(len(logins), func(i int) {
			req := c.request("alice", time.Hour, time.Hour)
			logins[i] = login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
			if err := c.create(c.ctx, logins[i]); err != nil {
				c.errorf("login: %v", err)
			}
		})
		for _, l := range logins {
			req, err := c.getRefresh(l)
			c.wantAccepted("a refresh token", req, err)
			req, err = c.getAccess(l)
			c.wantAccepted("an access token", req, err)
		}
	}},
	{"access tokens added concurrently to one session are all kept", func(c *check) {
		l := c.login("alice")
		signatures := make([]string, 16)
		parallel(len(signatures), func(i int) {
			signatures[i] = c.Signature(l.req.GetID())
			if err := c.Storage.CreateAccessTokenSession(c.ctx, signatures[i], l.req); err != nil {
				c.errorf("CreateAccessTokenSession: %v", err)
			}
		})
		for _, s := range signatures {
			req, err := c.Storage.GetAccessTokenSession(c.ctx, s, c.NewSession())
			c.wantAccepted("an access token", req, err)
		}
		c.must(c.revokeSession(l.req.GetID()), "revoke")
		for _, s := range signatures {
			req, err := c.Storage.GetAccessTokenSession(c.ctx, s, c.NewSession())
			c.wantRefused("an access token of the revoked session", req, err)
		}
	}},
	{"concurrent refreshes of different sessions do not affect each other", func(c *check) {
		logins := make([]login, 16)
		for i := range logins {
			logins[i] = c.login("alice")
		}
		parallel(len(logins), func(i int) {
			for range 4 {
				next, err := c.rotate(logins[i])
				if err != nil {
					c.errorf("rotate: %v", err)
					return
				}
				logins[i] = next
			}
		})
		for _, l := range logins {
			req, err := c.getRefresh(l)
			c.wantAccepted("a refresh token", req, err)
		}
	}},
	{"a revocation during a refresh leaves no valid token", func(c *check) {
		for range 30 {
			old := c.login("alice")
			var next login
			parallel(2, func(i int) {
				if i == 0 {
					next, _ = c.rotate(old)
				} else if err := c.revokeSession(old.req.GetID()); err != nil {
					c.errorf("revoke: %v", err)
				}
			})
			for _, l := range []login{old, next} {
				req, err := c.getRefresh(l)
				c.wantRefused("a refresh token of the revoked session", req, err)
				req, err = c.getAccess(l)
				c.wantRefused("an access token of the revoked session", req, err)
			}
		}
	}},
	{"an assertion sent many times at once is accepted once", func(c *check) {
		store := c.clientManager()
		c.acceptedOnce("SetClientAssertionJWT", func() error {
			return store.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(time.Hour))
		})
	}},
}

// acceptedOnce checks that of many callers at once one gets no error and the others ErrJTIKnown.
func (c *check) acceptedOnce(what string, call func() error) {
	var mu sync.Mutex
	accepted := 0
	parallel(16, func(int) {
		err := call()
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			accepted++
		} else if !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("%s: %v, want nil or ErrJTIKnown", what, err)
		}
	})
	if accepted != 1 {
		c.errorf("%s: accepted %d times, want once", what, accepted)
	}
}
