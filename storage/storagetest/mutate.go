package storagetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
)

// mutate changes everything in a request that a caller can change.
func mutate(req fosite.Requester) {
	req.SetRequestedScopes(fosite.Arguments{"changed"})
	req.GrantScope("changed")
	req.GrantAudience("changed")
	req.GetRequestForm().Set("scope", "changed")
	s := req.GetSession()
	if n, ok := s.(interface{ SetSubject(string) }); ok {
		n.SetSubject("mallory")
	}
	s.SetExpiresAt(fosite.AccessToken, time.Now().Add(-time.Hour))
	if own, ok := s.(*Session); ok {
		own.Claims["role"] = "changed"
	}
}

// copyOf is a deep copy of a request.
func copyOf(r fosite.Requester) fosite.Requester {
	return &fosite.Request{
		ID: r.GetID(), RequestedAt: r.GetRequestedAt(), Client: r.GetClient(),
		RequestedScope: slices.Clone(r.GetRequestedScopes()), GrantedScope: slices.Clone(r.GetGrantedScopes()),
		RequestedAudience: slices.Clone(r.GetRequestedAudience()), GrantedAudience: slices.Clone(r.GetGrantedAudience()),
		Form: maps.Clone(r.GetRequestForm()), Session: r.GetSession().Clone(),
	}
}

// malformedSignatures are inputs that match no token.
func malformedSignatures() []string {
	return []string{
		"", ".", "..", "*", "never-seen", "a{b}:c", "x\x00y", "\r\nFLUSHALL\r\n", "%s%n",
		strings.Repeat("A", 43), strings.Repeat("A", 44) + "." + strings.Repeat("A", 43), strings.Repeat("a.", 5000), "ſ\xff",
	}
}

func canceledContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	return ctx, cancel
}
