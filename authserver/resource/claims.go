package resource

import (
	"context"
	"slices"
	"time"
)

// Claims describes a valid access token. It must not be changed, because requests with the same token may share it.
type Claims struct {
	// Subject is the user, or the client itself if no user logged in.
	Subject string
	// Client is the client that the token was issued to. Empty for tokens of the legacy profile that are verified locally.
	Client          string
	Scopes          []string
	Issued, Expires time.Time
	// Session is the ID of the session that the token belongs to, ID the one of the token itself. Either may be empty.
	Session, ID string
	// Legacy is true for a token of the legacy profile. SuperUser and Role are the rights of its user: with introspection those
	// of this moment, within Introspection.Cache; verified locally those of when the token was issued, so that a user who was
	// demoted keeps them until it expires.
	Legacy    bool
	SuperUser bool
	Role      string
	// All has every claim of the token, or every member of the introspection response.
	All map[string]any
}

// HasScope tells whether the token has the scope.
func (c *Claims) HasScope(scope string) bool { return slices.Contains(c.Scopes, scope) }

type contextKey struct{}

// From returns the claims of the request with this context. ok is false outside of Guard.Require.
func From(ctx context.Context) (claims *Claims, ok bool) {
	claims, ok = ctx.Value(contextKey{}).(*Claims)
	return claims, ok
}

// With returns a context with claims. Tests of handlers need it.
func With(ctx context.Context, claims *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}
