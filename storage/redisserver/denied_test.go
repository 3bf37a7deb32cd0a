package redisserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// operation is a call that changes a store.
type operation struct {
	name  string
	setup func(w *fixture)
	run   func(w *fixture) error
	// want is what it returns. Nil: no error.
	want error
	// again is what else a repeat may return, because the first attempt has done it.
	again error
	// ignores are the commands without which it may succeed: "SET u" is a SET of a key whose name begins with u.
	ignores []string
	// once says that it is not repeated after it has succeeded, as a refresh with the same token is not.
	once bool
	// paired says that pointers are written beside the script that needs them, and that this script is not sent by itself where they
	// fail: on one node it does not run where those before it do not. For other cases see TestPointersThatCannotBeWritten.
	paired bool
	// blind are parts of lines of the state that are not compared.
	blind []string
	// distinct makes each command fail with each key, but not each call of it.
	distinct bool
	// resent runs each script, as if its reply was lost, before it fails.
	resent bool
}

// Every command of every script is made to fail, in scripts of sessions and codes each time that it is called. Then the operation says that it does not know,
// and after a repeat the store is as if nothing had failed. A script is not rolled back, so this is about what it writes before
// what. A command that no operation here calls fails the test, see missing.
func TestAFailedCommandIsCompletedByARepeat(t *testing.T) {
	sites := allSites(t)
	operations := slices.Concat(userOperations, roleOperations, clientOperations, countOperations)
	for i := range operations {
		operations[i].distinct = true // many of their commands are in loops, and many wait for the background
	}
	operations = slices.Concat(operations, sessionOperations, codeOperations, oldOperations)
	var mutex sync.Mutex
	failed := make(map[site]bool)
	t.Run("operations", func(t *testing.T) {
		var all sync.WaitGroup
		defer all.Wait()
		room := make(chan struct{}, 8) // most of them wait for the background, so more than there are cores
		for _, op := range operations {
			all.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				t.Run(op.name, func(t *testing.T) {
					for _, s := range op.failEach(t, targets(sites)) {
						mutex.Lock()
						failed[s] = true
						mutex.Unlock()
					}
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%d commands of %d scripts failed in %d operations", len(failed), len(redisdb.Scripts()), len(operations))
	for _, s := range missing(sites, failed) {
		t.Errorf("no operation of this test calls %s", s)
	}
}

// failEach runs the operation once for each command that each run of each script calls, and returns those that failed.
func (op operation) failEach(t *testing.T, targets []target) (failed []site) {
	t.Helper()
	r := storagetest.StartInstance(t)
	admin := r.Server.Client(t)
	begin := func() *fixture {
		w := newFixture(t, r.Addr, admin)
		if op.setup != nil {
			op.setup(w)
		}
		return w
	}

	w := begin()
	if err := op.run(w); !matches(err, op.want) {
		t.Fatalf("undisturbed: %v", err)
	}
	good := slowStore(t, r.Client(t))
	want := op.seen(w.settled(good))
	want += "\n" + op.seen(w.after(good))
	used := w.denier.scripts() // by the operation and by what is before it
	w.close()
	for _, target := range targets {
		target.resent, target.distinct = op.resent, op.distinct
		for more := used[target.script] && (!op.paired || !isPointer(target.script)); more; target.run++ {
			for target.call = 1; ; target.call++ {
				w := begin()
				failures := op.fail(w, target, slowStore(t, r.Client(t)), want)
				w.close()
				if more = len(failures) > 0 || target.call > 1; len(failures) == 0 {
					break
				}
				for _, f := range failures {
					failed = append(failed, target.site(f))
				}
			}
		}
	}
	return failed
}

// fail runs the operation with a command that fails, then without, and compares the state with the one of an undisturbed run.
func (op operation) fail(w *fixture, target target, good *storage.Store, want string) []failure {
	w.t.Helper()
	w.denier.arm(target)
	err := op.run(w)
	failures := w.denier.disarm()
	if len(failures) == 0 {
		return nil
	}
	f := failures[0]
	what := fmt.Sprintf("%s %s (%s), run %d, call %d", f.command, f.kind, target.site(f), target.run, target.call)
	unavailable := errors.Is(err, fosite.ErrTemporarilyUnavailable) && !errors.Is(err, fosite.ErrNotFound)
	if !unavailable && !slices.Contains(op.ignores, f.command+" "+f.kind) {
		w.t.Errorf("%s fails: %v, want unavailable", what, err)
	}
	w.checkRights(good)
	if !op.once || unavailable {
		if err = op.run(w); !matches(err, op.want) && (op.again == nil || !matches(err, op.again)) {
			w.t.Errorf("repeated after %s failed: %v", what, err)
		}
	}
	got := op.seen(w.state(good))
	for end := time.Now().Add(settleTime); !strings.HasPrefix(want, got+"\n") && time.Now().Before(end); got = op.seen(w.state(good)) {
		time.Sleep(50 * time.Millisecond)
	}
	if got += "\n" + op.seen(w.after(good)); got != want {
		w.t.Errorf("repeated after %s failed:\n%s", what, difference(want, got))
	}
	return failures
}

// seen is a state without the lines that are not compared.
func (op operation) seen(state string) string {
	lines := slices.DeleteFunc(strings.Split(state, "\n"), func(line string) bool {
		return slices.ContainsFunc(op.blind, func(part string) bool { return strings.Contains(line, part) })
	})
	return strings.Join(lines, "\n")
}

// settleTime is for what a store repeats in the background.
const settleTime = 5 * time.Second

func matches(err, want error) bool {
	if want == nil {
		return err == nil
	}
	unavailable := errors.Is(err, fosite.ErrTemporarilyUnavailable)
	return errors.Is(err, want) && unavailable == errors.Is(want, fosite.ErrTemporarilyUnavailable)
}

// difference are the lines that one text has and the other has not.
func difference(want, got string) string {
	var text strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range w {
		if !slices.Contains(g, line) {
			text.WriteString("  want " + line + "\n")
		}
	}
	for _, line := range g {
		if !slices.Contains(w, line) {
			text.WriteString("  got  " + line + "\n")
		}
	}
	return text.String()
}
