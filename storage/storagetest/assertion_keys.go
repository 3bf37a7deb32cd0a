package storagetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/rfc7523"
)

// assertionStorage returns what the store knows of JWT assertions, or skips the test.
func (c *check) assertionStorage() rfc7523.RFC7523KeyStorage {
	s, ok := c.Storage.(rfc7523.RFC7523KeyStorage)
	if !ok {
		c.skip("the store has no keys of assertions")
	}
	return s
}

const (
	issuer     = "https://issuer.example/a:b"
	tokenURL   = "https://as.example/token"                    // #nosec G101 -- the path of an endpoint
	jwtBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer" // #nosec G101 -- the name of a grant
	assertedBy = "service-1"
)

// issuerKey makes a key pair and adds its public part for the subject of an issuer.
func (c *check) issuerKey(issuer, subject, keyID string, scopes ...string) (*ecdsa.PrivateKey, *jose.JSONWebKey) {
	c.assertionStorage()
	if c.AddIssuerKey == nil {
		c.skip("the fixture cannot add the key of an issuer")
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.must(err, "GenerateKey")
	public := &jose.JSONWebKey{Key: private.Public(), KeyID: keyID, Algorithm: "ES256", Use: "sig"}
	c.must(c.AddIssuerKey(issuer, subject, public, scopes), "AddIssuerKey")
	return private, public
}

func sameKey(got, want *jose.JSONWebKey) bool {
	g, ok := got.Key.(*ecdsa.PublicKey)
	w, _ := want.Key.(*ecdsa.PublicKey)
	return ok && g.Equal(w) && got.KeyID == want.KeyID
}

var assertionKeyCases = []testCase{
	{"a key that was added is found with its scopes", func(c *check) {
		s := c.assertionStorage()
		_, one := c.issuerKey(issuer, assertedBy, "key 1", "read", "write")
		_, two := c.issuerKey(issuer, assertedBy, "key 2", "write")
		for _, want := range []*jose.JSONWebKey{one, two} {
			got, err := s.GetPublicKey(c.ctx, issuer, assertedBy, want.KeyID)
			c.must(err, "GetPublicKey")
			if got == nil || !sameKey(got, want) {
				c.errorf("GetPublicKey(%q): %v, want the key that was added", want.KeyID, got)
			}
		}
		set, err := s.GetPublicKeys(c.ctx, issuer, assertedBy)
		c.must(err, "GetPublicKeys")
		for _, want := range []*jose.JSONWebKey{one, two} {
			if !slices.ContainsFunc(set.Keys, func(k jose.JSONWebKey) bool { return sameKey(&k, want) }) {
				c.errorf("GetPublicKeys returns %d keys without %q", len(set.Keys), want.KeyID)
			}
		}
		for id, want := range map[string][]string{"key 1": {"read", "write"}, "key 2": {"write"}} {
			got, err := s.GetPublicKeyScopes(c.ctx, issuer, assertedBy, id)
			c.must(err, "GetPublicKeyScopes")
			if !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				c.errorf("scopes of %q: %v, want %v", id, got, want)
			}
		}
	}},
	{"keys of other issuers and subjects are not found", func(c *check) {
		s := c.assertionStorage()
		c.issuerKey(issuer, assertedBy, "key 1", "read")
		_, other := c.issuerKey(issuer, "service-2", "key 2", "read")
		type ask struct{ issuer, subject, keyID string }
		unknown := []ask{
			{issuer, assertedBy, "key 2"},
			{issuer, "service-2", "key 1"},
			{"https://other.example", assertedBy, "key 1"},
			{issuer + ":" + assertedBy, "", "key 1"},
			{issuer, "", "key 1"},
			{"", assertedBy, "key 1"},
			{issuer, assertedBy, ""},
			{strings.TrimSuffix(issuer, ":b"), "b:" + assertedBy, "key 1"},
			{issuer, assertedBy + "\x00", "key 1"},
			{issuer, "*", "*"},
		}
		for _, a := range unknown {
			if key, err := s.GetPublicKey(c.ctx, a.issuer, a.subject, a.keyID); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("GetPublicKey(%q): %v, error %v; want ErrNotFound", a, key, err)
			}
			if scopes, err := s.GetPublicKeyScopes(c.ctx, a.issuer, a.subject, a.keyID); !errors.Is(err, fosite.ErrNotFound) {
				c.errorf("GetPublicKeyScopes(%q): %v, error %v; want ErrNotFound", a, scopes, err)
			}
		}
		for _, a := range []ask{{"https://other.example", assertedBy, ""}, {issuer, "service-3", ""}, {issuer, "", ""}, {"", "", ""}} {
			// An empty set will do: fosite refuses the assertion either way.
			keys, err := s.GetPublicKeys(c.ctx, a.issuer, a.subject)
			if err != nil && !errors.Is(err, fosite.ErrNotFound) || err == nil && keys != nil && len(keys.Keys) > 0 {
				c.errorf("GetPublicKeys(%q, %q): %v, error %v; want none or ErrNotFound", a.issuer, a.subject, keys, err)
			}
		}
		keys, err := s.GetPublicKeys(c.ctx, issuer, "service-2")
		c.must(err, "GetPublicKeys")
		if len(keys.Keys) != 1 || !sameKey(&keys.Keys[0], other) {
			c.errorf("GetPublicKeys of service-2: %v, want its only key", keys.Keys)
		}
	}},
	{"a used assertion is known", func(c *check) {
		s := c.assertionStorage()
		wantUsed := func(jti string, want bool) {
			if used, err := s.IsJWTUsed(c.ctx, jti); err != nil || used != want {
				c.errorf("IsJWTUsed(%q): %t, error %v; want %t", jti, used, err, want)
			}
		}
		wantUsed("assertion-1", false)
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-1", time.Now().Add(time.Hour)), "MarkJWTUsedForTime")
		wantUsed("assertion-1", true)
		if err := s.MarkJWTUsedForTime(c.ctx, "assertion-1", time.Now().Add(time.Hour)); !errors.Is(err, fosite.ErrJTIKnown) {
			c.errorf("marking it again: %v, want ErrJTIKnown", err)
		}
		wantUsed("assertion-1", true)
		wantUsed("assertion-2", false)
		wantUsed("ASSERTION-1", false)
	}},
	{"an assertion sent many times at once is accepted once", func(c *check) {
		s := c.assertionStorage()
		for i := range 10 {
			jti := fmt.Sprint("assertion-", i)
			c.acceptedOnce("MarkJWTUsedForTime", func() error {
				return s.MarkJWTUsedForTime(c.ctx, jti, time.Now().Add(time.Hour))
			})
		}
	}},
	{"an assertion that has already expired can be marked", func(c *check) {
		// fosite refuses those itself, with a clock that may differ from the store's.
		s := c.assertionStorage()
		c.must(s.MarkJWTUsedForTime(c.ctx, "assertion-1", time.Now().Add(-time.Minute)), "MarkJWTUsedForTime")
	}},
	{"fosite accepts an assertion once", func(c *check) {
		key, _ := c.issuerKey(issuer, assertedBy, "key 1", "read")
		if _, ok := c.NewSession().(rfc7523.Session); !ok {
			c.skip("the session has no SetSubject")
		}
		config := &fosite.Config{TokenURL: tokenURL, ScopeStrategy: fosite.ExactScopeStrategy}
		h := &rfc7523.Handler{Storage: c.assertionStorage(), Config: config, HandleHelper: &oauth2.HandleHelper{Config: config}}
		for _, keyID := range []string{"key 1", ""} {
			assertion := c.sign(key, keyID)
			c.must(c.assert(h, assertion, "read"), "an assertion")
			if err := c.assert(h, assertion, "read"); !errors.Is(err, fosite.ErrJTIKnown) {
				c.errorf("the same again: %v, want ErrJTIKnown", err)
			}
			if err := c.assert(h, c.sign(key, keyID), "write"); !errors.Is(err, fosite.ErrInvalidScope) {
				c.errorf("a scope that the key does not have: %v, want invalid_scope", err)
			}
		}
		stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		c.must(err, "GenerateKey")
		if err := c.assert(h, c.sign(stranger, "key 1"), "read"); !errors.Is(err, fosite.ErrInvalidGrant) {
			c.errorf("the signature of another key: %v, want invalid_grant", err)
		}
	}},
}
