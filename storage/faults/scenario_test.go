package faults_test

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// fault is a fault of Redis that happens under load.
type fault struct {
	inject, heal  func()
	lasts         time.Duration
	recoverWithin time.Duration                // 0: it does not recover
	probe         func() error                 // a write that fails during the fault; nil: any write of the load
	failover      bool                         // a replica takes over, which may not have unacknowledged writes
	lossWindow    time.Duration                // acknowledged writes this long before the fault may be lost; 0: none
	judge         func(injected time.Duration) // judges the histories instead of verify and countLoss; nil: they do
}

// under runs the load during the fault and checks what must hold in every fault: no token is accepted twice and no valid token
// is refused (the histories are linearizable, with what is read after the recovery), every call returns within 1.5 s, and the
// stores recover without a restart.
func (e *engine) under(t *testing.T, f fault) {
	t.Helper()
	stop := make(chan struct{})
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	lag := measureLag()
	done := make(chan struct{})
	e.think = 4 * time.Millisecond
	go func() { defer close(done); e.run(stopped) }()

	const calm = 700 * time.Millisecond
	time.Sleep(calm)
	injected := time.Since(e.begun)
	f.inject()
	time.Sleep(f.lasts)
	f.heal()
	e.healed.Store(time.Since(e.begun).Nanoseconds())
	e.awaitRecovery(t, f)
	time.Sleep(calm)
	close(stop)
	<-done
	settled := time.Since(e.begun)
	if f.recoverWithin > 0 {
		e.settle(t)
	}
	if f.failover {
		e.forgetDirtyReads(settled)
	}
	switch {
	case f.judge != nil:
		f.judge(injected)
	case f.lossWindow > 0:
		e.countLoss(t, injected, f.lossWindow)
	default:
		e.verify(t)
	}
	wantInTime(t, time.Duration(e.slowest.Load()), lag())
	if e.ops.Load() < 100 {
		t.Errorf("only %d operations: the test shows nothing", e.ops.Load())
	}
}

// answerWithin is how long a call may take with the default time-outs.
const answerWithin = 1500 * time.Millisecond

// wantInTime allows a call to take longer by the time for which this process was held up.
func wantInTime(t *testing.T, slowest, lag time.Duration) {
	t.Helper()
	if slowest > answerWithin+lag {
		t.Errorf("a call took %v, want at most %v (this process was held up by up to %v)", slowest, answerWithin, lag)
	}
}

// measureLag returns a function that returns by how much a short sleep took too long at worst, which is how busy the machine
// was.
func measureLag() func() time.Duration {
	var worst atomic.Int64
	stop := repeat(0, func() {
		start := time.Now()
		time.Sleep(10 * time.Millisecond)
		worst.Store(max(worst.Load(), int64(time.Since(start)-10*time.Millisecond)))
	})
	return func() time.Duration { stop(); return time.Duration(worst.Load()) }
}

// forgetDirtyReads drops look-ups, and redemptions that were refused after one, from the histories that may have read an unacknowledged write which the replica that took
// over does not have. until is when the failover was over.
func (e *engine) forgetDirtyReads(until time.Duration) {
	for _, f := range e.sessions {
		first := time.Duration(math.MaxInt64) // when the first write was sent that was not acknowledged
		for _, op := range f.history {
			if op.Return == math.MaxInt64 {
				first = min(first, time.Duration(op.Call))
			}
		}
		f.history = slices.DeleteFunc(f.history, func(op porcupine.Operation) bool {
			dirty := time.Duration(op.Return) > first && time.Duration(op.Call) < until
			kind, r := op.Input.(call).kind, op.Output.(result)
			refused := kind == opRedeem && r.outcome != accepted && r.outcome != unknown
			return dirty && (kind.reads() || refused)
		})
	}
}

func (e *engine) awaitRecovery(t *testing.T, f fault) {
	t.Helper()
	start := time.Now()
	back := func() bool {
		for i := range e.recovered {
			if e.recovered[i].Load() == 0 {
				return false
			}
		}
		return true
	}
	if f.probe != nil {
		back = func() bool { return f.probe() == nil }
	}
	for time.Since(start) < f.recoverWithin {
		if back() {
			t.Logf("all stores have recovered after %v", time.Since(start).Round(time.Millisecond))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	if f.recoverWithin > 0 {
		t.Errorf("not recovered within %v", f.recoverWithin)
	}
}

// countLoss allows a history to be illegal if a write was acknowledged just before the fault.
func (e *engine) countLoss(t *testing.T, injected, window time.Duration) {
	t.Helper()
	lost := 0
	for _, f := range e.sessions {
		if porcupine.CheckOperationsTimeout(sessionModel, f.history, time.Minute) == porcupine.Ok {
			continue
		}
		lost++
		near := slices.ContainsFunc(f.history, func(op porcupine.Operation) bool {
			at := time.Duration(op.Return)
			return op.Output.(result).outcome == accepted && at > injected-window && at < injected+window
		})
		if !near {
			t.Errorf("session %s lost a write that was acknowledged long before the fault", f.id)
		}
	}
	t.Logf("%d operations in %d sessions: %d sessions lost a write of the last %v", e.ops.Load(), len(e.sessions), lost, window)
}

// bothWays runs the test with strict clients and with clients that have a grace.
func bothWays(t *testing.T, test func(t *testing.T, strict bool)) {
	t.Run("strict", func(t *testing.T) { t.Parallel(); test(t, true) })
	t.Run("grace", func(t *testing.T) { t.Parallel(); test(t, false) })
}
