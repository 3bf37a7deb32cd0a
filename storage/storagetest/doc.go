// Package storagetest tests token stores. It has a conformance suite for any store behind fosite's storage
// interfaces, and starts Redis servers for tests and makes them fail.
//
// # The suite
//
// Run takes a Harness, of which only New is required:
//
//	storagetest.Run(t, storagetest.Harness{New: func(t *testing.T) storagetest.Fixture {
//		s := mystore.New(…)
//		return storagetest.Fixture{
//			Storage:   s,
//			AddClient: func(c fosite.Client) error { return s.Put(c) },
//		}
//	}})
//
// It calls the store as fosite's handlers do and checks what they rely on:
//
//	access, refresh    what was stored is returned, in the session that the caller passes, which may be nil
//	revocation         ends one session and no other, and reuse of a refresh token leaves no valid token
//	handler            fosite's refresh handler works on the store
//	concurrency        one rotation wins, and no login or revocation is lost
//	replay             for stores with a grace (Harness.Grace)
//	expiry             needs Fixture.Advance; uses Fixture.Leftovers and Harness.CodeMemory
//	outage             needs Fixture.Break; no error may say that a token or a code is invalid
//
// The other groups run if the store has the interface, and are skipped otherwise:
//
//	transaction        Transactional
//	clients, users     ClientManager; ResourceOwnerPasswordCredentialsGrantStorage
//	codes              AuthorizeCodeStorage: a code is redeemed once, and a used one returns its request
//	code handler       the same and PKCERequestStorage: fosite's code grant with PKCE, and with OpenID Connect, works on the store
//	code transaction   the same and Transactional: tokens are stored and their code is used, or neither
//	code concurrency   AuthorizeCodeStorage: of concurrent redemptions one wins, and the others write nothing
//	pkce, openid       PKCERequestStorage; OpenIDConnectRequestStorage
//	par                PARStorage: everything comes back except for credentials of the client
//	assertion keys     RFC7523KeyStorage, and Fixture.AddIssuerKey: an assertion is accepted once
//	nonces             verifiable.NonceManager
//
// Tests that a store is known to fail go into Harness.KnownDeviations with the reason. Names returns their names.
//
// The suite does not test durability. To test that keys share the slots of a Redis Cluster, run it on StartCluster.
//
// # Servers
//
// Redis runs a test on miniredis and on a private redis-server. StartRedis, StartSentinel and StartCluster start
// processes on loopback ports, which end with the test. StartProxy can close a connection after a script has run and
// before the client has the reply.
//
//	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
//		client := r.Client(t)
//		…
//	})
//
// Without redis-server in PATH those tests are skipped, or fail with OPGRANT_TEST_REQUIRE_REDIS=1. Main, which
// TestMain calls, prints which Redis a package's tests use.
package storagetest
