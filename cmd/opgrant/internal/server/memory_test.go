package server

import (
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestTheMemoryLimitIsThatOfTheContainer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	var container uint64 = 8 << 30

	log, text := testLog(t)
	limitMemory(memlimit.Limit(container), log)
	if got := debug.SetMemoryLimit(-1); got != int64(memoryShare*float64(container)) {
		t.Errorf("limit %d", got)
	}
	if n := strings.Count(text.String(), "memory limit of the Go runtime"); n != 1 {
		t.Errorf("logged %d times: %s", n, text)
	}

	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "5GiB")
	limitMemory(memlimit.Limit(container), log)
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("GOMEMLIMIT is replaced by %d", got)
	}
}

func TestWithoutAContainerThereIsNoMemoryLimit(t *testing.T) {
	for _, problem := range []error{memlimit.ErrNoLimit, memlimit.ErrNoCgroup, memlimit.ErrCgroupsNotSupported} {
		before := debug.SetMemoryLimit(-1)
		log, text := testLog(t)
		limitMemory(func() (uint64, error) { return 0, problem }, log)
		if got := debug.SetMemoryLimit(-1); got != before && got != math.MaxInt64 || text.Len() > 0 {
			t.Errorf("%v: limit %d, %s", problem, got, text)
		}
	}
	log, text := testLog(t)
	limitMemory(func() (uint64, error) { return 0, errors.New("cannot read it") }, log)
	if !strings.Contains(text.String(), "GOMEMLIMIT") {
		t.Errorf("nothing about it in the log: %s", text)
	}
}
