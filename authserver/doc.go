// Package authserver is an OAuth 2.0 authorization server over fosite: token, introspection, revocation, metadata and keys.
//
//	POST /oauth2/token                             RFC 6749: password, refresh_token, client_credentials; RFC 7523; RFC 8693
//	POST /oauth2/introspect                        RFC 7662
//	POST /oauth2/revoke                            RFC 7009
//	GET  /.well-known/oauth-authorization-server   RFC 8414
//	GET  /.well-known/jwks.json                    RFC 7517
//
// Most programs need New and Register:
//
//	server, err := authserver.New(authserver.Config{Issuer: "https://id.example.com", Storage: store, Users: store.Users, Keys: set})
//	server.Register(router)
//
// # What is fosite's and what is ours
//
// Grants run through fosite's handlers: look-up, client binding, scopes, expiry. Ours are the tokens (golang-jwt), the last
// step of a refresh (one atomic step of the store, by the client's policy), the parsing of forms, the writing of errors,
// introspection and revocation: stock fosite differs from the RFCs there.
//
// # Three answers
//
// Yes, no, and don't know. A store that does not answer is never a no: it is 503 with Retry-After, on every endpoint,
// because clients throw their tokens away on a wrong 4xx.
//
// # What is not here
//
// No store (see package storage, or bring any that implements Storage), no login page and no authorization code: people
// log in by the password grant, which RFC 9700 section 2.4 forbids to new systems. It is a bridge for old ones.
package authserver
