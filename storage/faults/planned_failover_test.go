package faults_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// planned is a way to fail over a primary that serves, and what is promised of it.
type planned struct {
	name  string
	store storage.Options
	redis []string // lines of redis.conf
	pause bool     // writes are paused first, as docs/redis-failover.md has it
	loses bool     // acknowledged writes may be lost
}

// confirmed is the replicated mode, for a busy machine.
func confirmed(replicas int) storage.Options {
	return storage.Options{Replicas: replicas, ReplicaTimeout: 300 * time.Millisecond}
}

var (
	bySentinel = []planned{
		{name: "default", loses: true},
		{name: "replicated, 1 of 2", store: confirmed(1)},
	}
	bySentinelInFull = []planned{
		{name: "replicated, 2 of 2", store: confirmed(2)},
		{name: "default, paused", pause: true},
		{name: "replicated, 1 of 2, min-replicas-to-write 2", store: confirmed(1), redis: []string{"min-replicas-to-write 2"}},
		{name: "replicated, 2 of 2, paused", store: confirmed(2), pause: true},
	}
	byCluster = []planned{
		{name: "default"},
		{name: "replicated, 1 of 1", store: confirmed(1)},
	}
)

// No acknowledged write is lost by a planned failover where none may be.
func TestFaultPlannedSentinelFailover(t *testing.T) {
	t.Parallel()
	rows := bySentinel
	if full() {
		rows = append(rows[:len(rows):len(rows)], bySentinelInFull...)
	}
	for _, p := range rows {
		t.Run(p.name, func(t *testing.T) {
			switch sum := sentinelFailovers(t, p, scale(1, 20)); {
			case sum.lost() > 0 && !p.loses:
				t.Error("want none lost")
			case sum.lost() == 0 && p.loses:
				t.Error("the old primary confirms writes that the new one does not have, and none is found lost: the test shows nothing")
			}
		})
	}
}

func TestFaultPlannedClusterFailover(t *testing.T) {
	t.Parallel()
	for _, p := range byCluster {
		t.Run(p.name, func(t *testing.T) {
			if sum := clusterFailovers(t, p, scale(1, 20)); sum.lost() > 0 && !p.loses {
				t.Error("want none lost")
			}
		})
	}
}

func sentinelFailovers(t *testing.T, p planned, times int) *losses {
	t.Helper()
	g := storagetest.StartSentinel(t, storagetest.Options{Config: p.redis})
	stores := directly(t, 2, p.store, connect(t, redis.UniversalOptions{Addrs: g.Addrs(), MasterName: storagetest.MasterName}))
	sum := &losses{}
	for range times {
		e := newEngine(false, stores...)
		register(t, e, stores[0])
		everyone := func(string) bool { return true }
		e.under(t, fault{
			inject: func() {
				old := g.Primary(t)
				if p.pause {
					pauseWrites(t, old)
				}
				g.FailOver(t)
				if p.pause {
					g.Follow(t, old)
				}
			},
			heal: func() {}, failover: true, recoverWithin: time.Minute,
			judge: func(injected time.Duration) { sum.add(t, e, injected, everyone) },
		})
		g.WaitHealthy(t, time.Minute)
	}
	sum.print(t)
	return sum
}

func clusterFailovers(t *testing.T, p planned, times int) *losses {
	t.Helper()
	g := storagetest.StartCluster(t, storagetest.Options{Config: p.redis})
	stores := clusterStores(t, g, p.store)
	sum := &losses{}
	for i := range times {
		e := newEngine(false, stores...)
		register(t, e, stores[0])
		// Nodes do not vote twice about the same primary within twice the node timeout: the next shard each time.
		old := g.PrimaryOf(t, []string{"a", "b", "c"}[i%3])
		concerned := subjectsOn(t, g, old)
		e.under(t, fault{
			inject: func() { g.FailOver(t, old) },
			heal:   func() {}, failover: true, recoverWithin: time.Minute,
			probe: loginsOn(t, g, old, e, stores),
			judge: func(injected time.Duration) { sum.add(t, e, injected, concerned) },
		})
		g.WaitHealthy(t, time.Minute)
	}
	sum.print(t)
	return sum
}

// register adds the client of the load, which may take a moment where min-replicas-to-write counts replicas.
func register(t *testing.T, e *engine, s tokenStore) {
	t.Helper()
	until(t, "the client is registered", func() bool { return s.(*storage.Store).PutClient(t.Context(), e.client) == nil })
}

// subjectsOn tells which users of the load have their sessions on the node.
func subjectsOn(t *testing.T, g *storagetest.Cluster, node *storagetest.Server) func(string) bool {
	t.Helper()
	on := map[string]bool{}
	for n := range subjects {
		name := "user" + strconv.Itoa(n)
		on[name] = g.PrimaryOf(t, "{"+storage.NewSessionID(name)[:22]+"}") == node
	}
	return func(subject string) bool { return on[subject] }
}

// pauseWrites holds up all writes on the primary for longer than any failover takes, and waits until its replicas have caught up.
func pauseWrites(t *testing.T, primary *storagetest.Server) {
	t.Helper()
	c := primary.Client(t)
	if err := c.Do(context.Background(), "CLIENT", "PAUSE", 60000, "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the replicas have caught up", func() bool { return storagetest.ReplicasCaughtUp(primary) })
}
