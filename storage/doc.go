// Package storage keeps clients, users, sessions and keys of an OAuth 2.0 server in Redis: the store for fosite that is
// atomic, may be asked twice, and never takes an outage for an answer.
//
// Three ways to use it:
//
//	store, err := storage.New(rdb, storage.Options{})               // everything, for authserver
//	tokens, err := storage.NewTokens(rdb, yourClients, storage.Options{}) // tokens alone, under your own fosite server
//	struct{ *storage.Clients; *storage.Tokens; directory }           // composed, with users of your own
//
// # One transition, one script
//
// A login, a refresh, a revocation is one call of transition.lua. It checks everything before it writes anything, knows
// the attempt that it belongs to, and so may run twice when its reply was lost: go-redis sends a command again, and a naive
// rotation would take that for theft. In fosite's handlers the writes between BeginTX and Commit become one transition; a
// server that wants more than the handlers give calls Tokens.RefreshSession.
//
// All keys of a subject share a Redis Cluster hash tag, so that a login can end older sessions and look at the user record
// in the same step. Every key of a session has a TTL, its indexes included; keys.go names them all.
//
// # Signatures
//
// Signature makes names of tokens that carry their session: the record is found in one round trip, and by one slot. Names
// of other making (fosite's HMAC and JWT strategies) work through pointer keys, for one round trip more.
//
// # Three answers
//
// A method returns nil, a verdict, or a don't-know:
//
//	fosite.ErrNotFound                 there is no such token, session, client or user
//	fosite.ErrInactiveToken            a refresh token that was used before; comes with the request
//	fosite.ErrSerializationFailure     another call was first
//	fosite.ErrTemporarilyUnavailable   Redis did not answer or cannot serve; nothing is known. Test with errors.Is
//
// Only a missing key and a script's word are verdicts. An emptied Redis is a don't-know too: the store remembers an epoch
// key, and while that is not the one it saw, a missing key proves nothing. Restarting the server accepts the loss.
//
// # Expiry
//
// Redis's clock decides what has expired. A crash loses what Redis loses; see ARCHITECTURE.md for each durability mode.
package storage
