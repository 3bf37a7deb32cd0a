// Command example-service is a resource server to copy from: a handful of things behind package resource, for clients of
// both doors of opgrant.
//
//	opgrant serve --dev &
//	example-service --issuer http://127.0.0.1:9925
//
//	GET /me       who the token speaks for; any good token
//	GET /things   a list; tokens with the scope things:read, and tokens of the legacy profile
//
// With --introspect ID --secret-file FILE every token is asked about, so that a revocation counts within ten seconds.
package main
