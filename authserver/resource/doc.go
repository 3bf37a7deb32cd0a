// Package resource is the resource server's side of OAuth 2.0 (RFC 6750): middleware that lets requests with a good access
// token through to a handler, and answers all others. It needs nothing of the authorization server but its URL.
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
// By default tokens are verified here, with the public keys of the authorization server (RFC 9068 section 4). That costs no
// round trip, and a token is good until it expires, even when it was revoked. With Config.Introspection the authorization
// server is asked (RFC 7662), so that a revocation counts within the cache's time.
//
// # Keys
//
// The key set is cached. It is renewed in the background when it is no longer fresh, and at once for a token that names a key
// that is not in it: all requests that meet one wait for a single fetch, and fetches keep a distance, so that made-up key
// names cost the authorization server no more than one request a second. What such a token is told rests on a key set that
// was fetched after the token came in.
//
// # Three answers
//
//	no token                          401, WWW-Authenticate: Bearer without an error
//	more than one, or not well-formed 400 invalid_request
//	not good                          401 invalid_token
//	good, without the scope           403 insufficient_scope
//	the server cannot know            503 with Retry-After
//
// The last one is an authorization server that does not answer while its answer is needed. Clients throw tokens away on a
// 401, so an outage must not look like one.
//
// # Old clients
//
// With Config.Legacy, tokens of the legacy profile pass too, so that a service can serve old and new clients side by side.
// They have no scopes of their own: Config.LegacyScopes says what they may do.
package resource
