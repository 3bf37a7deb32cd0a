package server

import (
	"errors"
	"log/slog"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare of the memory that the process may have is left to the Go runtime; the rest is for what it does not count.
const memoryShare = 0.9

// limitMemory makes the garbage collector respect the memory limit of the container, so that the kernel does not end the
// process. GOMEMLIMIT in the environment takes precedence. provider is [memlimit.FromCgroup] outside of tests.
func limitMemory(provider memlimit.Provider, log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(provider))
	switch {
	case errors.Is(err, memlimit.ErrCgroupsNotSupported), errors.Is(err, memlimit.ErrNoCgroup): // no container
	case err != nil:
		log.Warn("no memory limit is known: set GOMEMLIMIT in a container that has one", "error", err)
	case limit < math.MaxInt64:
		log.Info("memory limit of the Go runtime", "bytes", limit)
	}
}
