package storage_test

import (
	"os"
	"testing"
)

// How much the fault tests do is said by OPGRANT_TEST_FAULTS:
//
//	unset   what a developer's go test ./... can afford
//	short   each scenario once, for .ci/run: about three minutes
//	full    repetitions, 10^6 operations, long silences
const (
	effortQuick = iota
	effortShort
	effortFull
)

func effort() int {
	switch os.Getenv("OPGRANT_TEST_FAULTS") {
	case "full":
		return effortFull
	case "short":
		return effortShort
	}
	return effortQuick
}

// needs skips a test that asks for more effort than this run is for.
func needs(t *testing.T, least int) {
	t.Helper()
	if effort() < least {
		t.Skip("set OPGRANT_TEST_FAULTS=short or full")
	}
}

// scale chooses by effort.
func scale[T any](quick, short, full T) T { return [...]T{quick, short, full}[effort()] }
