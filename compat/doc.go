// Package compat implements the operations API, JSON on POST /, in front of any OAuth 2.0 token endpoint.
//
// Old clients log in with the operation create_authentication_tokens and get a new token with refresh_operation_token. A
// [Handler] turns these into requests to a token endpoint, which is an [net/http.Handler]: one in this process, or a reverse proxy
// to another server. The package has no sessions, stores no tokens and signs none, and imports only the standard library and rs/cors.
//
//	POST / {"operation": …} ──► Handler ──► form ──► token endpoint
//	                               │
//	                               ├──► Authenticator: who is the caller?
//	                               ├──► Users, Roles: add_user … list_roles
//	                               └──► Upstream: every other operation, as long as an old server is running
//
// Only [Config].Token is required; the other fields add operations. The tables below say what the endpoint is asked for and how
// its answers are translated. They were recorded from the open-source server that the clients were written for, called the
// recorded server here. Package wiretest replays the recording.
//
// Files named operation_* implement the operations API. Files named recorded_* contain what exists only to answer exactly as the
// recorded server does. Files named upstream_* talk to the old server.
//
// # Operations
//
//	operation                     who may call                   becomes
//	create_authentication_tokens  username and password in body  grant password
//	                              Authorization: Basic           grant password with those credentials
//	                              Authorization: Bearer          grant token-exchange (RFC 8693) with that token
//	refresh_operation_token       refresh token as Bearer        grant refresh_token; the header wins over the body
//	                              refresh_token in body          grant refresh_token
//	user_info                     callers with a role            [Users].User, [Roles].Role
//	list_users, add_user,         super users                    [Users]
//	alter_user, drop_user
//	list_roles, add_role,         super users                    [Roles]
//	alter_role, drop_role
//	describe_all                  callers with a role            {}, or the upstream
//	login                         username and password in body  the upstream with [Upstream].Cookies, or 400 Operation '…' not
//	                                                             found
//	logout                        known callers                  as login
//	any other                     known callers                  the upstream, or 400 Operation '…' not found
//
// An invalid Authorization header ends the request, whatever the body contains. An expired operation token, a refresh token, an
// unknown scheme, a scheme in lower case, and Basic credentials with an empty name and password count as no header.
//
// create_authentication_tokens forwards two more members as form parameters of the same names: expires_in, the TTL of the
// operation token, as an integer number of seconds, which may be zero, negative or too long, and role, a claim for both tokens.
// In the operation, expires_in is a number of seconds, or a string such as "1h", "2 days" or "90m"; a string without a unit is in
// milliseconds. An endpoint that does not know the two parameters ignores them.
//
// # Answers
//
//	token endpoint                          create_authentication_tokens      refresh_operation_token
//	access_token                            operation_token                   operation_token
//	refresh_token                           refresh_token                     refresh_token, if it was rotated
//	everything else                         left out                          left out
//
// # Errors
//
// An error has one of three shapes, depending on the part of the recorded server that sends it: {"error": …} with content type
// application/json; the same without a content type if the Authorization header is refused; and {"statusCode", "error",
// "message"} from its web framework.
//
//	error                         where                 answer
//	invalid_grant, [ErrInvalid]   Basic                 401 Login failed, no content type
//	                              Bearer                401 invalid token, no content type
//	                              body of create        401 invalid credentials
//	                              body of refresh       401 invalid token
//	                              body of others        401 Login failed
//	"The refresh token expired.", Bearer                401 token expired
//	[ErrExpired]                  body of refresh       403 token expired
//	[ErrInactive]                 Basic, body of others 401 Cannot complete request: User is inactive
//	no credentials                where they are needed 401 Must login
//	not a super user, no role                           403 with the reason in unauthorized_access
//	429, [ErrThrottled]                                 429 with Retry-After
//	5xx, temporarily_unavailable,                       503 with Retry-After
//	any other error of an interface
//	invalid_request                                     400 with the error_description
//	other OAuth errors                                  500: the client of the token endpoint is misconfigured
//	upstream not reachable, slow                        502, 504
//	upstream answers 401, 3xx                           502 with the reason
//	too many forwarded requests                         503 with Retry-After
//	forwarded body that does not arrive                 408
//	body that breaks off, does not                      400, 408, with nothing but a status, as from an HTTP parser
//	arrive
//
// An unavailable store or endpoint is never answered with 401, because clients then discard their tokens.
//
// # Intended differences
//
// These answers differ from the recorded ones. wiretest.Differences lists the exchanges of each row, and the replay fails on
// any other difference.
//
//	recorded                            this package                            reason
//	refresh_token in the body alone:    200, refresh_token in the body is       the documentation of the operation
//	401 Must login                      enough                                  says so
//	an expired token that was used      401 token expired, used before or       validity must not depend on a cache
//	before is accepted from a cache     not
//	a password change leaves tokens     both end the sessions of the user       a password change must lock out whoever
//	valid; a dropped user's token is                                            knew the old one; a dropped user must
//	403 or 500, and valid again when                                            not come back with the name
//	the name is added again
//	super_user is copied from the       super_user is read at each refresh      a demoted administrator must lose it
//	refresh token
//	role of a login is copied           400 for a role that is not the user's   a token would name a right that its user does
//	unchecked                                                                   not have
//	a login by an operation token       valid for no longer than that token,    a token must not become a right that lasts
//	gives tokens of full length         and ended with it                       longer
//	storage failures are 401            503 with Retry-After                    clients discard their tokens on 401
//	500 for invalid members             400 for an error of the caller          it is not an error of the server
//	expires_in of zero or less issues   valid for a second at least             no token is issued that nobody could
//	an expired token                                                            use
//	expires_in of any length            valid for no longer than the refresh    the server decides how long a login
//	                                    token beside it                         lasts, not the caller
//	add_user and alter_user take any    400 with what is wrong: empty, short    NIST SP 800-63B and RFC 8265; users who
//	password, add_user any name         and common passwords, look-alike names  are imported keep theirs
//	an unknown HTTP method is 400       404, as for every other method          no client sends one
//	no Cache-Control,                   no-store with tokens and with 401,      RFC 6749 §5.1 and RFC 9110 §15.5.2; old
//	no WWW-Authenticate                 WWW-Authenticate with 401               clients ignore both
//	bodies up to 1 GB                   413 beyond 1 MiB, and beyond 256 KiB    memory; see Config.MaxBody
//	                                    where no header proves the caller
//	two logins in the same second       each login is a session of its own      sessions are revoked one by one
//	return the same tokens
//	the last of two equal keys wins     400 for a key that occurs twice         two readers could take the body for two
//	                                                                            different requests
//	errors in the JSON syntax quote     Unexpected token in JSON at position N  the body may contain a password. The two
//	the body or name what was expected                                          texts that do neither are equal: an
//	                                                                            unexpected end, a control character
//	any website may call, with          only origins that are listed may call   any website could act for its visitors;
//	credentials                                                                 see Config.Origins
//	a request whose client shuts its    answered, or 503 where it takes longer  the client may still wait for its answer; one
//	side of the connection gets none    than a second from then on              that has gone costs no more than that
//	CBOR, MessagePack, CSV, cookies,    JSON only, no cookies, no database      not a database; see Upstream for what is
//	a database                                                                  forwarded
//
// Two things are not differences, and may be unexpected. A wrong method on / is 404 and not 405, here with an Allow header.
// Basic credentials are decoded byte by byte, so that names in UTF-8 do not work there.
//
// # Upstream
//
// Nothing is forwarded whose caller has not been checked here. The upstream gets the body, a header that is chosen here, and one of:
// the credentials that have proved the caller, the header of [Upstream].Authorization, or, for login, the name and password that
// were checked. Of the caller's header it gets Accept, Accept-Encoding, User-Agent, X-Request-Id and Traceparent; X-Forwarded-For is
// the address of the client. It gets no query and no trailers, and no connection is upgraded. This differs from the recorded server:
//
//	request                                  answer
//	a session cookie and nothing else        401 Must login
//	login, logout without Upstream.Cookies   400 Operation '…' not found, after the caller has been checked
//	hdb_user, bypass_auth and the like in    400 '…' is not allowed: old servers pass the caller on in them
//	the body or in search_operation
//	name and password in the body, with      400: they go along as Basic credentials, which cannot express them
//	characters beyond Latin-1
//	a credential that is valid here and      502: a 401 would make the client discard it. It is so for Basic after a
//	not there                                password change here, and for tokens whose key only this server has
//
// With Upstream.Authorization, the upstream cannot tell who calls. So callers who are not super users may only use what
// Upstream.Operations lists, with a body of at most [Config].MaxBody, and bodies that are not JSON are 415.
//
// With Upstream.Cookies, session cookies accompany other credentials and never replace them. They pass in both directions for
// requests without an Origin header and for those from a listed origin. The session of a login is always a new one.
//
// A body in CBOR or MessagePack is forwarded up to Config.MaxBody, if it is one map with plain keys, names an operation that is not
// answered here, and holds no other operation. Otherwise it is 415 or 400. Its caller is found as for JSON, in the header or by a
// name and password in the body, which have to be texts. Of login, the upstream gets the JSON.
//
// # Migration
//
// [Config].OnOperation reports who still calls, from where, and whether that is proved, and Deprecation and Sunset headers announce
// the end. A client moves to OAuth 2.0 by exchanging its token at the token endpoint (RFC 8693).
//
// Users move when they log in. The token endpoint and the [Authenticator] have the password of a user who is unknown to them
// verified by a [Verifier], and store the user, as package opgrant does. With an [Upstream], alter_user and drop_user of a user
// who is unknown here are forwarded, and list_users does not list the user. This differs from the recorded server:
//
//	request                                  answer
//	a login of a user who is unknown here    503 with Retry-After, until the old server can be asked
//	and whom the old server cannot be asked
//	about
//	Basic credentials of a user who is       401 Login failed: the old server does not look at the password of such a
//	unknown here and disabled there          user, so it cannot be told who is asking
package compat
