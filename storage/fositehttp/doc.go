// Package fositehttp answers the errors of a fosite server whose store is package storage. Each function stands in for the
// writer of fosite that has its name, and differs from it where fosite's answer would be wrong for the client:
//
//	                                    fosite answers                     this package
//	the store was unavailable, to
//	  a token request                   500, 401 or 400                    503
//	  an introspection                  200 {"active":false}, or 401       503
//	  a revocation                      200, or 401                        503
//	  a pushed authorization request    500, or 401                        503
//	  an authorization request          redirect with server_error,        redirect with temporarily_unavailable,
//	                                    401 or 400                         503
//	a code or refresh token was lost    500, 404, 409, or                  400 invalid_grant
//	  to another request                400 "Please retry the request."
//	a login was refused, because too    500                                429 with Retry-After
//	  many passwords were wrong
//
// Everything else is passed to fosite's writer, and so are the answers above: formats, translations and headers are those of the
// fosite.Config. A client that gets a 401, an invalid_grant or {"active":false} discards its tokens, and one that gets 200 for a
// revocation thinks that the token has ended. A 503 says that nothing was decided. It has a Retry-After of 1 to 3 s, chosen at
// random so that clients do not all come back at once. The cause is in no answer, not even with SendDebugMessagesToClients.
//
// A handler passes the context of Watch to fosite and to these functions:
//
//	func revoke(rw http.ResponseWriter, r *http.Request) {
//		ctx := fositehttp.Watch(r.Context())
//		fositehttp.WriteRevocationResponse(ctx, provider, rw, provider.NewRevocationRequest(ctx, r))
//	}
//
// Without Watch most outages are still found, in the error itself. In four places fosite drops the error of the store, and only
// the context knows of it then: the look-up of a client assertion, the access token that authenticates an introspection, the
// second look-up of an introspection (a token is looked for among access and refresh tokens), and the revocation after a code was
// used twice.
//
// The functions are safe for concurrent use, as fosite's are.
package fositehttp
