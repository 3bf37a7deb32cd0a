package storagetest

import (
	"errors"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

func (c *check) clientManager() fosite.ClientManager {
	m, ok := c.Storage.(fosite.ClientManager)
	if !ok {
		c.skip("the store has no clients")
	}
	return m
}

// users returns the store's users with one account, or skips the test.
func (c *check) users(name, password string) oauth2.ResourceOwnerPasswordCredentialsGrantStorage {
	u, ok := c.Storage.(oauth2.ResourceOwnerPasswordCredentialsGrantStorage)
	if !ok || c.AddUser == nil {
		c.skip("the store has no users, or the fixture cannot add one")
	}
	c.must(c.AddUser(name, password), "AddUser")
	return u
}

var clientCases = []testCase{
	{"a client that was added is found", func(c *check) {
		m := c.clientManager()
		got, err := m.GetClient(c.ctx, clientID)
		c.must(err, "GetClient")
		if got.GetID() != clientID || !got.GetGrantTypes().Has("password", "refresh_token") || !got.GetScopes().Has("read", "write") {
			c.errorf("client %q with grants %v and scopes %v", got.GetID(), got.GetGrantTypes(), got.GetScopes())
		}
	}},
	{"an unknown client is not found", func(c *check) {
		m := c.clientManager()
		for _, id := range append(malformedSignatures(), clientID+" ", strings.ToUpper(clientID)) {
			if got, err := m.GetClient(c.ctx, id); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("client %.60q: %v, error %v; want ErrNotFound", id, got, err)
			}
		}
	}},
	{"a used assertion is known", func(c *check) {
		m := c.clientManager()
		c.must(m.ClientAssertionJWTValid(c.ctx, "assertion-1"), "a new assertion")
		c.must(m.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(time.Hour)), "SetClientAssertionJWT")
		if err := m.ClientAssertionJWTValid(c.ctx, "assertion-1"); !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("a used assertion: %v, want ErrJTIKnown", err)
		}
		if err := m.SetClientAssertionJWT(c.ctx, "assertion-1", time.Now().Add(time.Hour)); !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("setting it again: %v, want ErrJTIKnown", err)
		}
		c.must(m.ClientAssertionJWTValid(c.ctx, "assertion-2"), "another assertion")
	}},
}

var userCases = []testCase{
	{"the right password always returns the same subject", func(c *check) {
		u := c.users("bob", "correct horse")
		one, err := u.Authenticate(c.ctx, "bob", "correct horse")
		c.must(err, "Authenticate")
		two, err := u.Authenticate(c.ctx, "bob", "correct horse")
		c.must(err, "Authenticate")
		if one == "" || one != two {
			c.errorf("subjects %q and %q, want the same", one, two)
		}
	}},
	{"wrong password and unknown user are not found", func(c *check) {
		u := c.users("bob", "correct horse")
		for _, try := range [][2]string{
			{"bob", "wrong"},
			{"bob", ""},
			{"bob", "correct horse "},
			{"bob", "Correct horse"},
			{"bob", "correct horse\x00"},
			{"eve", "correct horse"},
			{"", ""},
			{"*", "correct horse"},
			{"bob\x00", "correct horse"},
		} {
			if subject, err := u.Authenticate(c.ctx, try[0], try[1]); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("user %q, password %q: subject %q, error %v; want ErrNotFound", try[0], try[1], subject, err)
			}
		}
	}},
	{"long passwords are compared to the last byte", func(c *check) {
		long := strings.Repeat("pass", 30)
		u := c.users("bob", long+"1")
		_, err := u.Authenticate(c.ctx, "bob", long+"1")
		c.must(err, "Authenticate")
		if _, err := u.Authenticate(c.ctx, "bob", long+"2"); !errors.Is(err, fosite.ErrNotFound) {
			c.errorf("121 bytes, the last one wrong: %v, want ErrNotFound", err)
		}
	}},
}
