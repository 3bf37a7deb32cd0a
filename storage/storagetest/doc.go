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
//	access, refresh  what was stored is returned, in the session that the caller passes, which may be nil
//	revocation       ends one session and no other, and reuse of a refresh token leaves no valid token
//	handler          fosite's refresh handler works on the store
//	transaction      for stores with fosite's Transactional
//	concurrency      one rotation wins, and no login or revocation is lost
//	clients, users   for stores that have them
//	replay           for stores with a grace (Harness.Grace)
//	expiry           needs Fixture.Advance; uses Fixture.Leftovers
//	outage           needs Fixture.Break; no error may say that a token is invalid
//
// Tests that a store is known to fail go into Harness.KnownDeviations with the reason. Names returns their names.
//
// The suite does not test durability, authorization codes, PKCE and OpenID Connect sessions. To test that keys share the slots of
// a Redis Cluster, run it on StartCluster.
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
