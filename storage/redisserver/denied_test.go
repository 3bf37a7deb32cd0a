package redisserver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

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
	// resent runs each script, as if its reply was lost, before it fails.
	resent bool
}

// Every command of every script is made to fail: the Redis user has no permission for it while the script runs. Then the operation
// says that it does not know, and after a repeat the store is as if nothing had failed. A script is not rolled back, so this is
// about what it writes before what. A script whose commands no operation here calls fails the test.
func TestAFailedCommandIsCompletedByARepeat(t *testing.T) {
	if older := storagetest.StartInstance(t).Client(t).(*redis.Client).Do(t.Context(), "ACL", "DRYRUN", "default", "ping").Err(); older != nil {
		t.Skip("selectors of ACL rules came with Redis 7.0")
	}
	sites := allSites(t)
	operations := slices.Concat(userOperations, roleOperations, clientOperations, countOperations, sessionOperations)
	var mutex sync.Mutex
	reached := make(map[site]bool)
	t.Run("operations", func(t *testing.T) {
		var all sync.WaitGroup
		defer all.Wait()
		room := make(chan struct{}, 8) // most of them wait for the background, so more than there are cores
		for _, op := range operations {
			all.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				t.Run(op.name, func(t *testing.T) {
					for _, s := range op.failEach(t, sites) {
						mutex.Lock()
						reached[s] = true
						mutex.Unlock()
					}
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%d commands of %d scripts failed in %d operations", len(reached), len(redisdb.Scripts()), len(operations))
	for _, s := range sites {
		if !reached[s] {
			t.Errorf("no operation of this test calls %s", s)
		}
	}
}

// failEach runs the operation once for each run of each script and each of its commands, and returns those that failed.
func (op operation) failEach(t *testing.T, sites []site) (failed []site) {
	t.Helper()
	r := storagetest.StartInstance(t)
	admin := r.Server.Client(t)
	t.Cleanup(func() { _ = admin.Do(context.Background(), "ACL", "DELUSER", deniedUser).Err() })
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
	want := w.settled(good)
	want += "\n" + w.after(good)
	used := w.denier.scripts() // by the operation and by what is before it
	w.close()
	for _, s := range sites {
		for number := 0; used[s.script]; number++ {
			w := begin()
			w.denier.arm(s, number, op.resent)
			err := op.run(w)
			kind, reached := w.denier.disarm()
			if !reached {
				break
			}
			failed = append(failed, s)
			unavailable := errors.Is(err, fosite.ErrTemporarilyUnavailable) && !errors.Is(err, fosite.ErrNotFound)
			if !unavailable && !slices.Contains(op.ignores, s.command+" "+kind) {
				t.Errorf("%s %s (%s) fails, run %d: %v, want unavailable", s.command, kind, s, number, err)
			}
			good := slowStore(t, r.Client(t))
			w.checkRights(good)
			if err = op.run(w); !matches(err, op.want) && (op.again == nil || !matches(err, op.again)) {
				t.Errorf("repeated after %s %s (%s) failed, run %d: %v", s.command, kind, s, number, err)
			}
			got := w.state(good)
			for end := time.Now().Add(settleTime); !strings.HasPrefix(want, got+"\n") && time.Now().Before(end); got = w.state(good) {
				time.Sleep(50 * time.Millisecond)
			}
			if got += "\n" + w.after(good); got != want {
				t.Errorf("repeated after %s %s (%s) failed, run %d:\n%s", s.command, kind, s, number, difference(want, got))
			}
			w.close()
		}
	}
	return failed
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
