// Package storagetest holds what tests of a token store need: a conformance suite for any store behind
// fosite's storage interfaces, and real Redis servers to run it on and to break.
//
// # The suite
//
// Run takes a Harness, of which New alone is needed:
//
//	storagetest.Run(t, storagetest.Harness{New: func(t *testing.T) storagetest.Fixture {
//		s := mystore.New(…)
//		return storagetest.Fixture{
//			Storage:   s,
//			AddClient: func(c fosite.Client) error { return s.Put(c) },
//		}
//	}})
//
// It calls the store as fosite's handlers do, and holds it to what they rely on without saying so:
//
//	access, refresh  what was stored comes back into the session given, nil included; nothing is shared with it
//	revocation       one session ends and no other; answering reuse leaves nothing alive
//	handler          fosite's own refresh handler on the store
//	transaction      for stores with fosite's Transactional
//	concurrency      one winner, no lost session, no revocation overtaken
//	clients, users   for stores that hold them
//	replay           for stores with a grace, which Harness.Grace says
//	expiry           needs Fixture.Advance; nothing may be left over where Fixture.Leftovers can tell
//	outage           needs Fixture.Break; no answer may be a verdict
//
// What a store is known to fail goes into KnownDeviations with the reason. A deviation that is listed and passes is a
// failure, so such a list can be believed. Names returns the names to use.
//
// What the suite cannot see: durability, authorization codes, PKCE and OpenID Connect sessions, and whether keys of a
// Redis Cluster share a slot. For the last, run it on StartCluster.
//
// # Servers
//
// Redis runs a test on miniredis and on a private redis-server. StartRedis, StartSentinel and
// StartCluster start real processes on loopback ports, which end with the test, and StartProxy stands in
// between and cuts a connection after a script has run and before its caller hears of it.
//
//	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
//		client := r.Client(t)
//		…
//	})
//
// Without redis-server on the machine those tests are skipped; OPGRANT_TEST_REQUIRE_REDIS=1 makes that
// a failure.
package storagetest
