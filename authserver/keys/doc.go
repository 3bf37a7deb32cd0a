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
//
// The package does not sign tokens: it returns the key that signs now and the keys that verify.
package keys
