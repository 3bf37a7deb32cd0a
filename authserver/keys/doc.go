// Package keys holds the signing keys of an authorization server: one set, shared by all replicas through a store,
// staged so that no verifier ever meets a token whose key it could not have fetched.
//
// A key's stage follows from the clock and two times in its record, so that replicas need not agree on anything but the
// document:
//
//	created ──────► published in the JWKS, signs nothing          "next"
//	activates ────► signs, until a younger key of its algorithm   "active"
//	                activates
//	retires ──────► verifies and is still published, until the    "retired"
//	                last token that it signed has expired
//
// It does not choose who may call what, and it does not sign: it hands out the key that signs now, and the keys that verify.
package keys
