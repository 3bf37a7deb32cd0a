// Package authserver is an OAuth 2.0 authorization server on fosite.
//
//	POST /oauth2/token                             RFC 6749 section 3.2
//	  grant_type=password                          RFC 6749 section 4.3
//	  grant_type=refresh_token                     RFC 6749 section 6, RFC 9700 section 4.14.2
//	  grant_type=client_credentials                RFC 6749 section 4.4
//	  grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer      RFC 7523 section 2.1
//	  grant_type=urn:ietf:params:oauth:grant-type:token-exchange  RFC 8693
//	POST /oauth2/introspect                        RFC 7662
//	POST /oauth2/revoke                            RFC 7009
//	GET  /.well-known/oauth-authorization-server   RFC 8414
//	GET  /.well-known/jwks.json                    RFC 7517
//
// An issuer with a path, such as https://host/auth, has its endpoints below it, and the metadata on
// /.well-known/oauth-authorization-server/auth (RFC 8414 section 3.1) as well.
//
// Clients authenticate by client_secret_basic, client_secret_post or private_key_jwt (RFC 7523 section 2.2). Access tokens
// are JWTs (RFC 9068). Refresh tokens are opaque, and rotate unless the client's policy says otherwise. Clients of the
// legacy profile get the JWTs that the operations API issues.
//
// Most programs need New and Register. The example of the package is a whole program.
//
//	set, err := keys.New(keys.Config{Store: store.Keys})
//	...
//	server, err := authserver.New(authserver.Config{
//		Issuer: "https://id.example.com", Storage: store, Users: store.Users, Keys: set, SecretThrottle: store.Users.Throttle(),
//	})
//	...
//	go set.Run(ctx, log)
//	server.Register(router)
//
// # What fosite does
//
// fosite's handlers check a token request: client, grant, scope, audience, password, and the look-up and binding of a
// refresh token. This package does the rest, because stock fosite differs from the RFCs there or does not have it:
// reading of forms, client authentication, JWTs, the atomic rotation of a refresh token, token exchange, errors,
// introspection and revocation.
//
// # Files
//
// endpoint_*.go has one endpoint each, grant_*.go one grant each; grants.go lists the grants. A new grant is an entry in
// the table of package policy and a line in newGrants.
//
// # An unavailable store
//
// A store that does not answer is 503 with Retry-After on every endpoint, never a 4xx: clients discard their tokens on a
// 4xx. So is work that Config.Admission does not admit. In errors it is fosite.ErrTemporarilyUnavailable, which Inspect and
// the store's methods wrap.
//
// # What is not here
//
// There is no store: package storage has one in Redis, and any other that implements Storage will do. There are no login
// page, no authorization code and no OpenID Connect. Users log in by the password grant, which RFC 9700 section 2.4 forbids
// to new systems; it is here for existing ones.
package authserver
