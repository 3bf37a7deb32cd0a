// Package storage keeps the clients, users, sessions and signing keys of an OAuth 2.0 server in Redis. It implements all of
// fosite's storage, so that compose.ComposeAllEnabled runs on it, and so does any part of it on a part.
//
// While Redis is out of reach every method returns, within Options.Timeout, an error for which
// errors.Is(err, fosite.ErrTemporarilyUnavailable) holds, and the client must be told to come back: 503. fosite's own writers
// tell it that a revocation was done (200), that a good token is inactive (200), that the client is unknown (401), or that the
// server has failed (500). Write errors by package storage/fositehttp instead, which has a function for each endpoint:
//
//	ctx := fositehttp.Watch(r.Context())
//	fositehttp.WriteRevocationResponse(ctx, provider, rw, provider.NewRevocationRequest(ctx, r))
//
// There are three ways to use it, with a client from Connect:
//
//	storage.New(rdb, storage.Options{})                      // everything: compose.ComposeAllEnabled(config, store, privateKey)
//	struct{ *storage.Clients; *storage.Tokens; yourUsers }   // its parts, in a fosite server with your own users; for the
//	                                                         // grant of RFC 7523 also *storage.Issuers
//	storage.NewTokens(rdb, yourClients, storage.Options{})   // tokens alone, with your own clients and users
//
// For clients that are stored here, a server of fosite's own handlers sets ClientSecretsHasher in its fosite.Config, and "strict" as
// Client.Refresh (see below).
//
// # What fosite asks for
//
//	interface                      used by the handlers of             one step that succeeds or changes nothing
//	ClientManager                  every endpoint                      an assertion of a client is accepted once
//	ResourceOwnerPassword          password                            a failed login is counted
//	  CredentialsGrantStorage
//	AccessTokenStorage             every grant, introspection
//	RefreshTokenStorage            password, refresh_token, code       a rotation
//	TokenRevocationStorage         revocation, refresh_token, code     each revocation
//	Transactional                  refresh_token, code                 the tokens and the code between BeginTX and Commit
//	AuthorizeCodeStorage           authorization code, hybrid          a code is used once, together with its tokens
//	PKCERequestStorage             code, if PKCE is used
//	OpenIDConnectRequestStorage    code, hybrid, if OpenID is used
//	PARStorage                     pushed authorization requests
//	RFC7523KeyStorage              JWT bearer                          an assertion is accepted once
//	NonceManager                   verifiable credentials
//
// Each of its calls is safe to repeat. What fosite does in several calls without a transaction, such as the tokens of a login or
// the two calls of a revocation, may happen in part: a handler that calls BeginTX before NewAccessResponse, and Commit after it,
// makes a login one step too. It must write the response last.
//
// # Round trips
//
// Those of one request, once scripts are loaded and while the client is in memory (Options.ClientCache). The first column is for
// request IDs of NewSessionID and token signatures of Signature, the second for those of fosite's own strategies.
//
//	password, two of them for the login itself           4   4
//	refresh_token                                        2   3
//	client_credentials                                   1   1
//	introspection of an access token                     1   2
//	introspection of a refresh token, without a hint     2   3
//	revocation of a refresh token                        3   4
//	revocation of an access token, with a hint           3   4
//	authorization                                        1   1
//	  and one more each for PKCE and OpenID
//	code for tokens                                      4   5
//	  and two more each for PKCE and OpenID
//	pushed authorization request                         1   1
//	  and two more for the authorization that uses it
//	JWT bearer                                           5   5
//	client authentication by private_key_jwt, besides    2   2
//	nonce of a verifiable credential                     1   1
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
// A write that returned ErrTemporarilyUnavailable may have happened. Repeating it is safe. When Redis is emptied or replaced, the
// store is unavailable (ErrLost) until its data is back or the process is restarted: otherwise every user would be logged out at
// once, and tokens would be issued that no other process accepts. Set Options.MustExist where a restart must not accept the loss
// either; Store.Init then creates the store once.
//
// # Sessions
//
// A login, a refresh or a revocation is one Lua script: it checks everything before it writes anything, and has no second effect
// when it is sent twice. In fosite's handlers the tokens that are written between BeginTX and Commit, and the use of the code,
// become one such step. RefreshSession does a whole refresh, with a grace period in which the same answer is given again. When a
// reply of Redis was lost, it is given again for 15 minutes.
//
// Sessions are stored in some 100 bytes and a share of an index, whatever is rotated (record.lua has the layout). A session type
// that implements encoding.BinaryMarshaler and BinaryUnmarshaler is stored as it encodes itself, others as JSON; the subject is
// stored beside it, and given back by SetSubject. Use one session type at all endpoints.
//
// # With fosite's own strategies
//
// Request IDs and signatures of fosite's HMAC and JWT strategies do not tell where their session is: pointers do, for the round trip
// more. Nor can they tell that an old refresh token was used: of those that were rotated the newest eight are known, and older ones
// are refused as unknown, which ends nothing. A strategy that uses NewSessionID, Signature and NewRefreshToken saves the round
// trip, and its used refresh tokens are known for ever.
//
// fosite's refresh handler makes new tokens each time, so that it cannot give an earlier answer again. Set Client.Refresh to
// "strict" for its clients, and leave Options.Grace at 0, which is for clients without a policy: within a grace, by default 10 s
// for clients that are stored here, a refresh token that is presented again is refused, but does not end the session. A refresh
// that was committed, and whose reply was lost for longer than go-redis sends it again, counts as used when the client retries;
// RefreshSession, as package authserver calls it, gives that client its tokens.
//
// # Authorization codes
//
// A code is used once, by the script that stores its tokens. It is known as a used one until 15 minutes after it would have expired,
// so that fosite ends the tokens when it is presented again (RFC 6749 section 4.1.2). It keeps the generations that its user and its
// client had when it was issued: a new password, RevokeSubject or RevokeClient ends open codes as it ends sessions.
//
// The requests of PKCE and OpenID Connect, pushed requests and nonces are keys of their own. Forms are stored without credentials,
// and of codes, request URIs and access tokens there are hashes.
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
