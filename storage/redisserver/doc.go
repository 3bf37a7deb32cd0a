// Package redisserver holds tests of package storage that need a redis-server: many concurrent callers, replies that are lost, and
// the number of round trips.
//
// Without redis-server in PATH none of them runs, and `go test ./...` prints "[no tests to run]" for this package. That line
// says that the whole run used miniredis only. OPGRANT_TEST_FAULTS=short or full raises the number of rounds.
package redisserver
