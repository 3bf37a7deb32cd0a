// Package resource protects a resource server (RFC 6750): middleware that checks the access token of each request. Of the
// authorization server it needs only the URL.
//
//	guard, err := resource.New(resource.Config{Issuer: "https://id.example.com"})
//	mux.Handle("GET /things", guard.Require("things:read")(list))
//
// and in the handler
//
//	claims, _ := resource.From(r.Context())
//	fmt.Fprintln(w, "hello,", claims.Subject)
//
// # Two ways to check a token
//
// By default tokens are verified locally, with the public keys of the authorization server (RFC 9068 section 4). That costs
// no request, but a revoked token is accepted until it expires. With Config.Introspection the authorization server is asked
// (RFC 7662), and a revoked token is accepted for Introspection.Cache at most.
//
// # Keys
//
// The key set is cached for Config.KeysFresh, five minutes by default. It is fetched again in the background from half that age
// on, and at once for a token whose key is not in it. So a token of a key that the authorization server has revoked (opgrant key
// revoke) is refused at most KeysFresh later. Only if the key set cannot be fetched, an older one is used, until
// Config.KeysStale, one hour by default. After a leak, restart the resource servers, or use introspection: then such a token is
// accepted for Introspection.Cache at most. Other verifiers than this package cache key sets too, some without an end: look up
// how long. Concurrent requests share one fetch, and fetches are at least Config.KeysEvery apart, so that made-up key IDs
// cost the authorization server one request a second at most. A token with an unknown key is refused only after a fetch that
// began after the token came in.
//
// # Responses
//
//	no token                           401, WWW-Authenticate: Bearer without an error
//	malformed, or more than one token  400 invalid_request
//	invalid or expired token           401 invalid_token
//	a scope is missing                 403 insufficient_scope
//	the token cannot be checked        503 with Retry-After
//
// A token cannot be checked if the authorization server is needed and does not answer. That is never a 401, because clients
// discard their tokens on a 401.
//
// # The legacy profile
//
// With Config.Legacy, tokens of the legacy profile are accepted too, so that a service can serve old and new clients. They
// have no scopes; Config.LegacyScopes says what they may do.
package resource
