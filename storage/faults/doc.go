// Package faults tests package storage on Redis servers that fail.
//
//	outage_test.go          killed, frozen, full, read-only and emptied servers, connections that break
//	slow_replies_test.go    replies that come too late, more callers than connections
//	linearizability_*       logins, codes and what follows them, by clients whose replies are cut off; porcupine checks every session's history
//	sentinel_test.go        failover by Redis Sentinel
//	planned_*               failovers that an operator asks for, of primaries that serve
//	replica_loss_test.go    replicas that hang and die
//	cluster_*               the conformance suite, users, failover and moving slots on Redis Cluster
//	memory_*                what a session costs in Redis and in the layouts of other stores, and what expired sessions leave behind
//	rotation_time_test.go   what a rotation costs Redis, after none and after 10,000
//
// They need redis-server, minutes of time and a machine that is not too busy, because some measure time. So they run only with
// OPGRANT_TEST_FAULTS set, and `go test ./...` prints "[no tests to run]" for this package:
//
//	OPGRANT_TEST_FAULTS=short go test ./storage/...                 each scenario once; .ci/run does this
//	OPGRANT_TEST_FAULTS=full go test -timeout 6h ./storage/...      repetitions, a million operations, long silences
package faults
