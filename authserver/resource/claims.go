package resource

import (
	"context"
	"slices"
	"time"
)

// Claims are what a good token says. They must not be changed: requests with the same token may share them.
type Claims struct {
	// Subject is who the token speaks for: a user, or the client itself where nobody logged in.
	Subject string
	// Client is who was given the token. Empty for tokens of the legacy profile that are verified here.
	Client string
	Scopes []string
	// Issued and Expires are the token's times.
	Issued, Expires time.Time
	// Session is the login that the token belongs to, ID the token itself. Either may be empty.
	Session, ID string
	// Legacy marks a token of the legacy profile; SuperUser and Role are what such a token says of its user.
	Legacy    bool
	SuperUser bool
	Role      string
	// All has every claim as it came, or every member of the introspection answer.
	All map[string]any
}

// HasScope tells whether the token has the scope.
func (c *Claims) HasScope(scope string) bool { return slices.Contains(c.Scopes, scope) }

type contextKey struct{}

// From returns the claims of the request that the context belongs to. ok is false outside of a handler that is guarded.
func From(ctx context.Context) (claims *Claims, ok bool) {
	claims, ok = ctx.Value(contextKey{}).(*Claims)
	return claims, ok
}

// With returns a context with claims, for tests of handlers.
func With(ctx context.Context, claims *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}
