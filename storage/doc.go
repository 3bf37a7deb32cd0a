// Package storage keeps the clients, users, sessions and signing keys of an OAuth 2.0 server in Redis. It implements all of
// fosite's storage: Store works with compose.ComposeAllEnabled.
//
// While Redis is out of reach every method returns, within Options.Timeout, an error for which
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds. Check for it before any other error, and answer 503: fosite's own
// writers answer 500 to a refresh, {"active":false} to an introspection and 200 to a revocation that did not happen.
//
// There are three ways to use it, with a client from Connect:
//
//	storage.New(rdb, storage.Options{})                      // everything, as package authserver needs it
//	struct{ *storage.Clients; *storage.Tokens; yourUsers }   // its parts, in a fosite server with your own users; for the
//	                                                         // grant of RFC 7523 also *storage.Issuers
//	storage.NewTokens(rdb, yourClients, storage.Options{})   // tokens alone, with your own clients and users
//
// # Errors
//
//	fosite.ErrTemporarilyUnavailable    nothing is known: Redis did not answer, cannot write or has lost its data. Ask again
//	fosite.ErrNotFound                  there is no such token, session, client or user
//	fosite.ErrInactiveToken             the refresh token was used before; the request is returned with it
//	fosite.ErrInvalidatedAuthorizeCode  the code was used before; the request is returned with it
//	fosite.ErrJTIKnown                  the assertion was used before
//	fosite.ErrSerializationFailure      another call was first
//
// A write that returned ErrTemporarilyUnavailable may have happened. Repeating it is safe. When Redis is
// emptied or replaced, the store is unavailable (ErrLost) until its data is back or the process is restarted: otherwise every
// user would be logged out at once, and tokens would be issued that no other process accepts. Set Options.MustExist where a
// restart must not accept the loss either; Store.Init then creates the store once.
//
// # Sessions
//
// A login, a refresh or a revocation is one Lua script: it checks everything before it writes anything, and has no second
// effect when it is sent twice. In fosite's handlers the writes between BeginTX and Commit become one such step.
// RefreshSession does a whole refresh, with a grace period in which the same answer is given again. When a reply of Redis was
// lost, it is given again for 15 minutes.
//
// A fosite strategy that uses NewSessionID and Signature saves a round trip per token. Other request IDs and signatures, such
// as those of fosite's HMAC and JWT strategies, work too.
//
// # Authorization codes
//
// A code is used once, by the script that stores its tokens. It is known as a used one until 15 minutes after it would have expired,
// so that fosite ends the tokens when it is presented again (RFC 6749 section 4.1.2). It keeps the generations that its user and its
// client had when it was issued: a new password, RevokeSubject or RevokeClient ends open codes as it ends sessions. Codes of a
// subject without an account end by themselves alone.
//
// The requests of PKCE and OpenID Connect, pushed requests and nonces are keys of their own. Forms are stored without credentials,
// and of codes, request URIs and access tokens there are hashes. Set ClientSecretsHasher in fosite's Config for clients that are
// stored here.
//
// # Users of another server
//
// With Options.Source, a user who is not in the store is verified there at the first login, by whichever method, and stored with
// the password and the role. The login is then decided as any other. What the source does not say for certain is
// ErrTemporarilyUnavailable, and so is a login that gets no turn within 10 s: see Source. A user who was dropped here is refused
// without a question.
//
// # Expiry
//
// Every key of a session has a TTL, and nothing has to be cleaned up. Redis's clock decides when a session ends, and the
// clock of the process when a token is still valid for a reader: keep them synchronised. What a crash of Redis loses depends
// on its durability settings; see ARCHITECTURE.md.
package storage
