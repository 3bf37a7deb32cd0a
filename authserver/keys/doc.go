// Package keys holds the signing keys of an authorization server. All replicas share one set through a store. A new key is
// published before it signs, so that every verifier can fetch it before it meets the first token.
//
// The stage of a key follows from the clock and the times in its record. Replicas need to agree only on the document:
//
//	created ──────► published in the JWKS, signs nothing          "next"
//	activates ────► signs, until a newer key of its algorithm     "active"
//	                activates
//	retires ──────► verifies and is still published, until the    "retired"
//	                last token that it signed has expired
//	Revoke ───────► nothing, from any stage, for good             "revoked"
//
// A key of another server is imported with a last day. Until then tokens of that server, which name no session, are accepted. If
// the key also signs, Run replaces it by then, and it retires.
//
// A revoked key leaves a record under its ID. It is not imported again, no replica that writes the document brings it back, and a
// replica that has seen the revocation writes it again if the store returns to an older document. Replicas load the document every
// Config.Reload; one that cannot, because the store is down, goes on to verify and to publish what it has loaded, while every check
// of a token asks the store too and fails.
//
// The package does not sign tokens: it returns the key that signs now and the keys that verify.
package keys
