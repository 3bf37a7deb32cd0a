// Package compat answers the operations API, JSON on POST /, in front of any OAuth 2.0 token endpoint.
//
// Old clients log in with the operation create_authentication_tokens and renew with refresh_operation_token. A [Handler] turns
// these into grants for a token endpoint, which is an [net/http.Handler]: one in this process, or a reverse proxy to another
// server. It keeps no session and signs no token, and it imports the standard library alone.
//
//	POST / {"operation": …} ──► Handler ──► form ──► token endpoint
//	                               │
//	                               ├──► Authenticator: who is behind the Authorization header
//	                               ├──► Users, Roles: add_user … list_roles
//	                               └──► Upstream: every other operation, while an old server still runs
//
// The one requirement is [Config].Token; the rest adds operations. What the endpoint is asked for, and what its answers
// become, is in the three tables below. What is answered was recorded from the open-source server that the clients were
// written for; package wiretest replays the recording.
//
// # Operations
//
//	operation                     who may call                   becomes
//	create_authentication_tokens  username and password in body  grant password
//	                              Authorization: Basic           grant password, with those
//	                              Authorization: Bearer          grant token-exchange (RFC 8693) of that token
//	refresh_operation_token       refresh token as Bearer        grant refresh_token; the header wins over the body
//	                              refresh_token in body          grant refresh_token
//	user_info                     everybody with a role          [Users].User, [Roles].Role
//	list_users, add_user,         super users                    [Users]
//	alter_user, drop_user
//	list_roles, add_role,         super users                    [Roles]
//	alter_role, drop_role
//	describe_all                  everybody with a role          nothing: {} unless there is an upstream
//	login, logout                 everybody                      the upstream, if there is one; so does what comes with
//	                                                             a cookie of it alone
//	any other                     everybody who is known         the upstream, or 400 Operation '…' not found
//
// An Authorization header that is there and wrong ends the request, whatever its body says. An expired operation token, a
// refresh token, an unknown scheme, one in lower case, and a Basic header that names nobody do not count.
//
// create_authentication_tokens passes on two more members as form parameters of the same names: expires_in, the life of the
// operation token, as integer seconds, and role, a claim for both tokens. expires_in is a number of seconds, or a text such as
// "1h", "2 days" or "90m"; a text without unit is milliseconds. An endpoint that does not know the two ignores them.
//
// # Answers
//
//	token endpoint                          create_authentication_tokens      refresh_operation_token
//	access_token                            operation_token                   operation_token
//	refresh_token                           refresh_token                     refresh_token, only if it is a new one
//	everything else                         left out                          left out
//
// # Errors
//
// An error has three shapes, by who answers on the recorded server: {"error": …} with content type application/json; the same
// without a content type when the Authorization header was refused; and {"statusCode", "error", "message"} from the framework
// beneath it.
//
//	verdict                       where                 status, text
//	invalid_grant, [ErrInvalid]   Basic                 401 Login failed, no content type
//	                              Bearer                401 invalid token, no content type
//	                              body of create        401 invalid credentials
//	                              body of refresh       401 invalid token
//	                              body of others        401 Login failed
//	"The refresh token expired.", Bearer                401 token expired
//	[ErrExpired]                  body of refresh       403 token expired
//	[ErrInactive]                 Basic, body of others 401 Cannot complete request: User is inactive
//	nobody named                  where one is needed   401 Must login
//	not a super user, no role                           403, with the reason in unauthorized_access
//	429, [ErrThrottled]                                 429 with Retry-After
//	5xx, temporarily_unavailable,                       503 with Retry-After
//	any other error of an interface
//	invalid_request                                     400, with the error_description
//	other OAuth errors                                  500: the two servers do not understand each other
//	upstream not reachable, slow                        502, 504
//
// A "don't know" is never a 401: clients throw their tokens away on one.
//
// # Differences on purpose
//
// What is answered otherwise than recorded, and why. wiretest.Differences has the same rows with the exchanges that they
// stand for, and the replay fails on any other difference.
//
//	recorded                          ours                                         why
//	a refresh token in the body       a refresh token in the body is all that      the seed document says so
//	alone: 401 Must login             refresh_operation_token takes
//	an expired token used before      an expired token is expired, used before     a verdict must not depend on a cache
//	is taken from a cache             or not
//	a password change leaves tokens   a changed password and a dropped user end    taking an account over must end with the
//	alive; a name added again         the sessions of that user                    password; no crash, no half login
//	revives its old token; after a
//	drop 403, or 500
//	super_user is copied from the     super_user is read anew at each refresh      a demoted administrator must lose it
//	refresh token
//	storage failures are 401          503 with Retry-After                         clients throw tokens away on 401
//	500 for garbage                   what is the caller's fault is 400, not 500   garbage is the caller's fault
//	no Cache-Control,                 no-store with tokens and with 401,           RFC 6749 §5.1, RFC 9110 §15.5.2; old
//	no WWW-Authenticate               WWW-Authenticate with 401                    clients ignore both
//	bodies up to 1 GB                 bodies are limited to 1 MiB                  memory; Config.MaxBody changes it
//	two logins in one second give     each login is a session of its own           keys rotate, sessions are revoked one by
//	one token                                                                      one
//	the last of two equal keys wins   a key that stands twice is 400               two readers must not see two requests
//	V8's texts about JSON             texts about JSON syntax are our own          the status and the shape are the same
//	CBOR, MessagePack, CSV, cookies,  answers are JSON, and there are no cookies   not a database; forwarded where an
//	a database                        and no database                              upstream is set
//
// Not a difference, and perhaps unexpected: a wrong method on / is 404 and not 405, as recorded, with an Allow header added;
// Basic credentials are read byte for byte as characters, so that names in UTF-8 do not work there; any origin may call
// (narrow it with [Config].Origins).
//
// # Leaving
//
// [Config].Observe tells who still calls, and Deprecation and Sunset headers tell them since when and until when. A client
// moves by exchanging its token at the standard door (RFC 8693). With an [Upstream], users move when they log in: a password
// that is wrong for want of a user is tried there once, and the user is handed to an [Importer]. Until then alter_user and
// drop_user of that user go to the upstream, and list_users leaves the user out.
package compat
