package faults_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// bothDurabilities runs a test with Options.Replicas, where an acknowledged write survives the loss of the primary, and without,
// where a write younger than the replication lag may be lost.
func bothDurabilities(t *testing.T, test func(t *testing.T, o storage.Options, loss time.Duration)) {
	t.Run("replicated", func(t *testing.T) {
		t.Parallel()
		test(t, confirmed(1), 0)
	})
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		test(t, storage.Options{}, 2*time.Second)
	})
}

func TestFaultSentinelFailover(t *testing.T) {
	bothDurabilities(t, func(t *testing.T, o storage.Options, loss time.Duration) {
		g := storagetest.StartSentinel(t, storagetest.Options{})
		stores := directly(t, 2, o, connect(t, redis.UniversalOptions{Addrs: g.Addrs(), MasterName: storagetest.MasterName}))
		for range scale(1, 10) {
			e := newEngine(false, stores...)
			e.users = stores[0].(*storage.Store).Users
			if err := stores[0].(*storage.Store).PutClient(t.Context(), e.client); err != nil {
				t.Fatal(err)
			}
			old := g.Primary(t)
			e.under(t, fault{
				inject: old.Kill, heal: func() {}, failover: true, recoverWithin: 10 * time.Second, lossWindow: loss,
			})
			old.Restart(t)
			g.WaitHealthy(t, time.Minute)
		}
	})
}

// The primary is frozen, another one is elected, and the old one continues as if it was still the primary.
func TestFaultSentinelDeposedPrimary(t *testing.T) {
	if !full() {
		t.Skip("set OPGRANT_TEST_FAULTS=full")
	}
	o := confirmed(1)
	g := storagetest.StartSentinel(t, storagetest.Options{Config: []string{"min-replicas-to-write 1", "min-replicas-max-lag 2"}})
	stores := directly(t, 2, o, connect(t, redis.UniversalOptions{Addrs: g.Addrs(), MasterName: storagetest.MasterName}))
	e := newEngine(false, stores...)
	e.users = stores[0].(*storage.Store).Users
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// min-replicas-to-write counts replicas that have reported, which takes them a second.
		err := stores[0].(*storage.Store).PutClient(t.Context(), e.client)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	old := g.Primary(t)
	e.under(t, fault{
		inject: func() { old.Freeze(t) }, heal: func() { old.Thaw(t) }, failover: true,
		lasts: 8 * time.Second, recoverWithin: 10 * time.Second,
	})
}
