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

// race lets n callers refresh one token, as fosite does: look it up, then rotate. It returns what the winners got.
func (c *check) race(n int, old login) []login {
	var mu sync.Mutex
	var winners []login
	parallel(n, func(int) {
		if _, err := c.getRefresh(old); err != nil {
			if !verdict(err) {
				c.errorf("a loser's look-up: %v is no verdict", err)
			}
			return
		}
		next, err := c.rotate(old)
		if err != nil {
			if !verdict(err) {
				c.errorf("a loser's rotation: %v is none of ErrSerializationFailure, ErrInactiveToken, ErrNotFound", err)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		winners = append(winners, next)
	})
	if len(winners) == 0 {
		c.fatalf("%d callers refreshed one token and nobody won: the session is lost", n)
	}
	if c.Grace == 0 && len(winners) > 1 {
		c.errorf("%d callers refreshed one token and %d won, want one", n, len(winners))
	}
	for _, w := range winners {
		req, err := c.getRefresh(w)
		c.wantAlive("a winner's refresh token", req, err)
		req, err = c.getAccess(w)
		c.wantAlive("a winner's access token", req, err)
	}
	return winners
}

var concurrencyCases = []testCase{
	{"one token refreshed by many has one winner", func(c *check) {
		for range 10 {
			c.race(16, c.login("alice"))
		}
	}},
	{"generation after generation has one winner each", func(c *check) {
		generations := []login{c.login("alice")}
		for range 6 {
			generations = append(generations, c.race(8, generations[len(generations)-1])[0])
		}
		c.outliveGrace()
		for i, l := range generations[:6] {
			c.wantInactive(fmt.Sprintf("generation %d", i), l)
		}
	}},
	{"logins of one user at once are all kept", func(c *check) {
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
			c.wantAlive("a refresh token", req, err)
			req, err = c.getAccess(l)
			c.wantAlive("an access token", req, err)
		}
	}},
	{"access tokens added to one session at once are all kept", func(c *check) {
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
			c.wantAlive("an access token", req, err)
		}
		c.must(c.end(l.req.GetID()), "revoke")
		for _, s := range signatures {
			req, err := c.Storage.GetAccessTokenSession(c.ctx, s, c.NewSession())
			c.wantDead("an access token of the revoked session", req, err)
		}
	}},
	{"sessions refreshed at once don't touch each other", func(c *check) {
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
			c.wantAlive("a refresh token", req, err)
		}
	}},
	{"a revocation beside a refresh leaves nothing alive", func(c *check) {
		for range 30 {
			old := c.login("alice")
			var next login
			parallel(2, func(i int) {
				if i == 0 {
					next, _ = c.rotate(old)
				} else if err := c.end(old.req.GetID()); err != nil {
					c.errorf("revoke: %v", err)
				}
			})
			for _, l := range []login{old, next} {
				req, err := c.getRefresh(l)
				c.wantDead("a refresh token of the revoked session", req, err)
				req, err = c.getAccess(l)
				c.wantDead("an access token of the revoked session", req, err)
			}
		}
	}},
	{"an assertion sent many times at once is taken once", func(c *check) {
		store := c.clientManager()
		var mu sync.Mutex
		taken := 0
		parallel(16, func(int) {
			err := store.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(time.Hour))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				taken++
			} else if !errors.Is(err, fosite.ErrJTIKnown) {
				c.errorf("SetClientAssertionJWT: %v, want nil or ErrJTIKnown", err)
			}
		})
		if taken != 1 {
			c.errorf("taken %d times, want once", taken)
		}
	}},
}
