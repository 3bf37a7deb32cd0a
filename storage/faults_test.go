package storage_test

import (
	"context"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
)

// How much the fault tests do is said by OPGRANT_TEST_FAULTS. With -short they are left out.
//
//	unset   what a developer's go test ./... can afford
//	short   each scenario once, for .ci/run
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

// skipShort leaves out what needs a quiet machine or much time.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short")
	}
}

// scale chooses by effort.
func scale[T any](quick, short, full T) T { return [...]T{quick, short, full}[effort()] }

// fault is something that happens to Redis under load.
type fault struct {
	inject, heal  func()
	lasts         time.Duration
	recoverWithin time.Duration // 0: it does not recover by itself
	probe         func() error  // a write that the fault stops; nil: any write of the load
	failover      bool          // a replica takes over, which may lack writes that were not acknowledged
	lossWindow    time.Duration // acknowledged writes this long before the fault may be lost; 0: none
}

// under drives the engine through the fault and checks what must hold in every one: no token accepted twice and no
// verdict against a live token (the histories are linearizable, and so is what is read when all is well again), every
// answer within 1.5 s, and recovery without a restart.
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

	calm := scale(400*time.Millisecond, 700*time.Millisecond, 700*time.Millisecond)
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
	if f.lossWindow > 0 {
		e.countLoss(t, injected, f.lossWindow)
	} else {
		e.verify(t)
	}
	wantInTime(t, time.Duration(e.slowest.Load()), lag())
	if e.ops.Load() < 100 {
		t.Errorf("only %d operations: the test tested nothing", e.ops.Load())
	}
}

// answerWithin is the longest that any answer may take.
const answerWithin = 1500 * time.Millisecond

// wantInTime allows an answer to be as late as the machine itself was.
func wantInTime(t *testing.T, slowest, lag time.Duration) {
	t.Helper()
	if slowest > answerWithin+lag {
		t.Errorf("an answer took %v, want at most %v (this process was held up by up to %v)", slowest, answerWithin, lag)
	}
}

// measureLag returns a function that says by how much a sleep of a moment was overslept at worst: how busy the machine was
// with other things.
func measureLag() func() time.Duration {
	var worst atomic.Int64
	stop := repeat(0, func() {
		begun := time.Now()
		time.Sleep(10 * time.Millisecond)
		worst.Store(max(worst.Load(), int64(time.Since(begun)-10*time.Millisecond)))
	})
	return func() time.Duration { stop(); return time.Duration(worst.Load()) }
}

// forgetDirtyReads drops look-ups from the histories that may have seen a write which was not acknowledged, and which the
// replica that took over never had. until is when the last failover was over.
func (e *engine) forgetDirtyReads(until time.Duration) {
	for _, f := range e.families {
		first := time.Duration(math.MaxInt64) // when the first write was sent that was not acknowledged
		for _, op := range f.history {
			if op.Return == math.MaxInt64 {
				first = min(first, time.Duration(op.Call))
			}
		}
		f.history = slices.DeleteFunc(f.history, func(op porcupine.Operation) bool {
			kind := op.Input.(call).kind
			dirty := time.Duration(op.Return) > first && time.Duration(op.Call) < until
			return dirty && (kind == opReadRefresh || kind == opReadAccess)
		})
	}
}

func (e *engine) awaitRecovery(t *testing.T, f fault) {
	t.Helper()
	begun := time.Now()
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
	for time.Since(begun) < f.recoverWithin {
		if back() {
			t.Logf("all servers are back after %v", time.Since(begun).Round(time.Millisecond))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	if f.recoverWithin > 0 {
		t.Errorf("not back within %v", f.recoverWithin)
	}
}

// countLoss allows histories to be illegal where something was acknowledged just before the fault.
func (e *engine) countLoss(t *testing.T, injected, window time.Duration) {
	t.Helper()
	lost := 0
	for _, f := range e.families {
		if porcupine.CheckOperationsTimeout(sessionModel, f.history, time.Minute) == porcupine.Ok {
			continue
		}
		lost++
		near := slices.ContainsFunc(f.history, func(op porcupine.Operation) bool {
			at := time.Duration(op.Return)
			return op.Output.(result).outcome == accepted && at > injected-window && at < injected+window
		})
		if !near {
			t.Errorf("session %s lost something that was acknowledged long before the fault", f.id)
		}
	}
	t.Logf("%d operations in %d sessions: %d sessions lost a write of the last %v", e.ops.Load(), len(e.families), lost, window)
}

// directly returns n stores that talk to one Redis, with the client that a server should use.
func directly(t *testing.T, n int, o storage.Options, client func() redis.UniversalClient) []sessions {
	t.Helper()
	stores := make([]sessions, n)
	for i := range stores {
		stores[i] = newStore(t, client(), o)
	}
	return stores
}

// standalone makes the client that a server makes, which sends again what was not answered.
func standalone(t *testing.T, addr string) func() redis.UniversalClient {
	return connect(t, redis.UniversalOptions{Addrs: []string{addr}})
}

// once makes a client that sends everything once. Where there is no grace the model needs it: a refresh that ran, was not
// answered and is sent again behind somebody's replay is a rotation for the one and a refusal for the other.
func once(t *testing.T, addr string) func() redis.UniversalClient {
	return connect(t, redis.UniversalOptions{Addrs: []string{addr}, MaxRetries: -1})
}

func connect(t *testing.T, o redis.UniversalOptions) func() redis.UniversalClient {
	return func() redis.UniversalClient {
		c := storage.Connect(o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// bothWays runs the fault with strict clients and with ones that have a grace.
func bothWays(t *testing.T, test func(t *testing.T, strict bool)) {
	t.Run("strict", func(t *testing.T) { t.Parallel(); test(t, true) })
	t.Run("grace", func(t *testing.T) { t.Parallel(); test(t, false) })
}

// The faults of these tests are made on purpose: go-redis need not report them.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silent{}) }
