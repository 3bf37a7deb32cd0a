// Package storagetest holds what tests of a token store need: a conformance suite for any store behind
// fosite's storage interfaces, and real Redis servers to run it on and to break.
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
