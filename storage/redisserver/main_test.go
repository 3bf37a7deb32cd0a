package redisserver_test

import (
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if _, err := exec.LookPath("redis-server"); err != nil {
		_ = flag.Set("test.run", "^$") // go test then prints "[no tests to run]", also when the package passes
	}
	os.Exit(storagetest.Main(m))
}

// rounds chooses how often a test repeats its race.
func rounds(quick, short, full int) int {
	switch os.Getenv("OPGRANT_TEST_FAULTS") {
	case "full":
		return full
	case "short":
		return short
	}
	return quick
}
