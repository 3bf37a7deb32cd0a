package storagetest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"
)

const clientID = "suite-client"

func (h Harness) withDefaults() Harness {
	if h.NewSession == nil {
		h.NewSession = func() fosite.Session { return &Session{} }
	}
	if h.RequestID == nil {
		h.RequestID = func(string) string {
			b := random(16)
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		}
	}
	if h.Signature == nil {
		h.Signature = func(string) string { return base64.RawURLEncoding.EncodeToString(random(32)) }
	}
	return h
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func (c *check) addClient(id string) {
	c.client = &fosite.DefaultClient{
		ID: id, Public: true, Scopes: []string{"read", "write"}, Audience: []string{"https://api.example"},
		GrantTypes: []string{"password", "refresh_token"},
	}
	if c.AddClient != nil {
		c.must(c.AddClient(c.client), "AddClient")
	}
}

// login is one login: the request as fosite stored it and the signatures of its tokens.
type login struct {
	req             fosite.Requester
	access, refresh string
}

// request is what fosite passes to a store after a password grant, for tokens with the given TTLs.
func (c *check) request(subject string, access, refresh time.Duration) *fosite.Request {
	req := c.requestBy(subject)
	req.Form = url.Values{"grant_type": {"password"}, "scope": {"read write"}, "client_id": {clientID}}
	req.Session.SetExpiresAt(fosite.AccessToken, time.Now().UTC().Add(access))
	req.Session.SetExpiresAt(fosite.RefreshToken, time.Now().UTC().Add(refresh))
	return req
}

// requestBy is a granted request of the subject, without a form, in a session that does not expire.
func (c *check) requestBy(subject string) *fosite.Request {
	s := c.NewSession()
	if own, ok := s.(*Session); ok {
		own.Username, own.Claims = subject+"@example", map[string]string{"role": "ærø \"quoted\" {braces}"}
	}
	if n, ok := s.(interface{ SetSubject(string) }); ok {
		n.SetSubject(subject)
	}
	return &fosite.Request{
		ID:                c.RequestID(subject),
		RequestedAt:       time.Now().UTC().Round(time.Second),
		Client:            c.client,
		RequestedScope:    fosite.Arguments{"read", "write"},
		GrantedScope:      fosite.Arguments{"read"},
		RequestedAudience: fosite.Arguments{"https://api.example", "https://other.example"},
		GrantedAudience:   fosite.Arguments{"https://api.example"},
		Form:              url.Values{},
		Session:           s,
	}
}

func (c *check) login(subject string) login {
	return c.loginFor(c.request(subject, time.Hour, 24*time.Hour))
}

// loginFor stores the tokens of a login as fosite's password handler does: access token first, no transaction.
func (c *check) loginFor(req fosite.Requester) login {
	l := login{req: req, access: c.Signature(req.GetID()), refresh: c.Signature(req.GetID())}
	c.must(c.create(c.ctx, l), "store a login")
	return l
}

func (c *check) create(ctx context.Context, l login) error {
	if err := c.Storage.CreateAccessTokenSession(ctx, l.access, l.req); err != nil {
		return fmt.Errorf("create access token: %w", err)
	}
	if err := c.Storage.CreateRefreshTokenSession(ctx, l.refresh, l.access, l.req); err != nil {
		return fmt.Errorf("create refresh token: %w", err)
	}
	return nil
}

// rotate does what fosite's refresh handler does with a store once it has checked the token, transaction included.
func (c *check) rotate(old login) (login, error) {
	next := c.successor(old.req)
	return next, c.issue(next, "rotate", func(ctx context.Context) error {
		return c.Storage.RotateRefreshToken(ctx, next.req.GetID(), old.refresh)
	})
}

// successor is a login with new tokens for the same session.
func (c *check) successor(of fosite.Requester) login {
	req := c.request(of.GetSession().GetSubject(), time.Hour, 24*time.Hour)
	req.ID = of.GetID()
	return login{req: req, access: c.Signature(req.ID), refresh: c.Signature(req.ID)}
}

// issue uses up a refresh token or a code and stores the tokens of next, in one transaction if the store has them.
func (c *check) issue(next login, what string, use func(context.Context) error) error {
	ctx, err := storage.MaybeBeginTx(c.ctx, c.Storage)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := use(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", what, err), storage.MaybeRollbackTx(ctx, c.Storage))
	}
	if err := c.create(ctx, next); err != nil {
		return errors.Join(err, storage.MaybeRollbackTx(ctx, c.Storage))
	}
	if err := storage.MaybeCommitTx(ctx, c.Storage); err != nil {
		return errors.Join(fmt.Errorf("commit: %w", err), storage.MaybeRollbackTx(ctx, c.Storage))
	}
	return nil
}

func (c *check) mustRotate(old login) login {
	next, err := c.rotate(old)
	c.must(err, "rotate")
	return next
}

func (c *check) getAccess(l login) (fosite.Requester, error) {
	return c.Storage.GetAccessTokenSession(c.ctx, l.access, c.NewSession())
}

func (c *check) getRefresh(l login) (fosite.Requester, error) {
	return c.Storage.GetRefreshTokenSession(c.ctx, l.refresh, c.NewSession())
}

// passGrace waits until the grace of rotated tokens has ended.
func (c *check) passGrace() {
	if c.Grace > 0 {
		c.advance(c.Grace + c.graceMargin())
	}
}

// graceMargin is how late a store may end the grace.
func (c *check) graceMargin() time.Duration { return min(c.Grace, time.Second) }

func (c *check) advance(d time.Duration) {
	if c.Advance == nil {
		c.skip("the fixture cannot let time pass")
	}
	c.Advance(d)
}
