package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"
)

// isRefusal reports whether the error says that a token or a code is not valid. Any other error means that the store is
// unavailable.
func isRefusal(err error) bool {
	return errors.Is(err, fosite.ErrNotFound) || errors.Is(err, fosite.ErrInactiveToken) ||
		errors.Is(err, fosite.ErrSerializationFailure) || errors.Is(err, fosite.ErrInvalidatedAuthorizeCode)
}

// wantRefused checks that a token is refused: not found or inactive.
func (c *check) wantRefused(what string, req fosite.Requester, err error) {
	switch {
	case err == nil:
		c.errorf("%s is still accepted", what)
	case errors.Is(err, fosite.ErrInactiveToken) && req == nil:
		c.errorf("%s: ErrInactiveToken without the request, whose ID fosite needs to end the session", what)
	case !errors.Is(err, fosite.ErrInactiveToken) && !errors.Is(err, fosite.ErrNotFound):
		c.errorf("%s: %v, want ErrInactiveToken or ErrNotFound", what, err)
	}
}

func (c *check) wantAccepted(what string, _ fosite.Requester, err error) {
	if err != nil {
		c.errorf("%s is not accepted: %v", what, err)
	}
}

// wantInactive checks for the error by which fosite detects reuse.
func (c *check) wantInactive(what string, l login) {
	req, err := c.getRefresh(l)
	if !errors.Is(err, fosite.ErrInactiveToken) {
		c.errorf("%s: error %v, want ErrInactiveToken", what, err)
		return
	}
	if req == nil {
		c.errorf("%s: ErrInactiveToken without the request, whose ID fosite needs to end the session", what)
		return
	}
	if req.GetID() != l.req.GetID() {
		c.errorf("%s: request ID %q, want %q", what, req.GetID(), l.req.GetID())
	}
}

// wantSameRequest compares what every request has with what was stored. It returns what compares more of the two.
func (c *check) wantSameRequest(got, want fosite.Requester) (same func(what string, got, want any)) {
	if got == nil {
		c.fatalf("no error and no request")
	}
	same = func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			c.errorf("%s is %v, want %v", what, got, want)
		}
	}
	same("ID", got.GetID(), want.GetID())
	same("RequestedAt", got.GetRequestedAt().Unix(), want.GetRequestedAt().Unix())
	same("requested scopes", sorted(got.GetRequestedScopes()), sorted(want.GetRequestedScopes()))
	same("requested audience", sorted(got.GetRequestedAudience()), sorted(want.GetRequestedAudience()))
	if got.GetClient() == nil {
		c.errorf("no client")
	} else {
		same("client", got.GetClient().GetID(), want.GetClient().GetID())
	}
	return same
}

// wantSame compares what a store returned with what was stored.
func (c *check) wantSame(got, want fosite.Requester) {
	same := c.wantSameRequest(got, want)
	same("granted scopes", sorted(got.GetGrantedScopes()), sorted(want.GetGrantedScopes()))
	same("granted audience", sorted(got.GetGrantedAudience()), sorted(want.GetGrantedAudience()))
	g, w := got.GetSession(), want.GetSession()
	if g == nil {
		c.fatalf("no session")
	}
	same("subject", g.GetSubject(), w.GetSubject())
	same("user name", g.GetUsername(), w.GetUsername())
	for _, kind := range []fosite.TokenType{fosite.AccessToken, fosite.RefreshToken, fosite.AuthorizeCode} {
		if d := g.GetExpiresAt(kind).Sub(w.GetExpiresAt(kind)).Abs(); d > time.Second {
			c.errorf("%s expires %v away from what was stored", kind, d)
		}
	}
	if w, ok := w.(*Session); ok {
		if g, ok := g.(*Session); ok {
			same("the session's own fields", g.Claims, w.Claims)
		}
	}
}

// wantSameForm compares the forms of two requests.
func (c *check) wantSameForm(got, want fosite.Requester) {
	if g, w := got.GetRequestForm().Encode(), want.GetRequestForm().Encode(); g != w {
		c.errorf("form %q, want %q", g, w)
	}
}

func sorted(a fosite.Arguments) []string { return slices.Sorted(slices.Values(a)) }
