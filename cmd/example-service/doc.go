// Command example-service is a resource server to copy from. Package resource guards its routes, for clients of the OAuth
// endpoints and of the operations API.
//
//	opgrant serve --dev &
//	example-service --issuer http://127.0.0.1:9925
//
//	GET /me       describes the token; any valid token
//	GET /things   a list; tokens with the scope things:read, and tokens of the legacy profile
//
// With --introspect ID --secret-file FILE it asks the authorization server about every token, so that a revoked token is
// accepted for ten seconds at most.
package main
