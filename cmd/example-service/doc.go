// Command example-service is a resource server to copy from: a handful of things behind package resource, for clients of
// both APIs of opgrant.
//
//	opgrant serve --dev &
//	example-service --issuer http://127.0.0.1:9925
//
//	GET /me       who the token speaks for; any valid token
//	GET /things   a list; tokens with the scope things:read, and tokens of the legacy profile
//
// With --introspect ID --secret-file FILE every token is introspected, so that a revocation takes effect within ten seconds.
package main
