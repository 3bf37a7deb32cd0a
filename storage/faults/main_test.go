package faults_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/opgrant/opgrant/storage/storagetest"
)

const variable = "OPGRANT_TEST_FAULTS"

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.testlogfile", "") // without this file go test does not cache the result
	switch v := os.Getenv(variable); v {
	case "short", "full":
		os.Exit(storagetest.Main(m))
	case "":
		fmt.Fprintf(os.Stdout, "faults: not run, set %s=short or full\n", variable)
		_ = flag.Set("test.run", "^$") // go test then prints "[no tests to run]"
		os.Exit(m.Run())
	default:
		fmt.Fprintf(os.Stdout, "faults: %s=%q, want short or full\n", variable, v)
		os.Exit(1)
	}
}

func full() bool { return os.Getenv(variable) == "full" }

// scale chooses how much a test does.
func scale[T any](inShort, inFull T) T {
	if full() {
		return inFull
	}
	return inShort
}
