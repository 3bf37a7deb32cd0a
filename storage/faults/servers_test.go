package faults_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// The servers of storagetest fail over, and its clients follow.

func TestSentinelServersFailOver(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := storagetest.StartSentinel(t, storagetest.Options{})
	c := g.Client(t, nil)
	old := g.Primary(t)
	admin := old.Client(t) // WAIT is about the writes of its own connection
	conn := admin.Conn()
	if err := conn.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Wait(ctx, 2, 3*time.Second).Result(); n < 2 || err != nil {
		t.Fatalf("%d replicas have the write, %v", n, err)
	}
	_ = conn.Close()
	old.Kill()
	until(t, "the client reads from the new primary", func() bool { return c.Get(ctx, "k").Val() == "v" })
	if now := g.Primary(t); now == old {
		t.Error("the killed server is still the primary")
	}
}

func TestClusterServesWithAKilledPrimaryAndMovedSlots(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := storagetest.StartCluster(t, storagetest.Options{})
	c := g.Client(t, nil)
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	old := g.PrimaryOf(t, "k")
	for _, other := range g.Primaries(t) {
		if other != old {
			g.Reshard(t, old, other, 10)
			break
		}
	}
	g.WaitHealthy(t, time.Minute)
	old = g.PrimaryOf(t, "k")
	old.Kill()
	until(t, "the client reads from the replica that took over", func() bool {
		// go-redis asks for the slots again after MOVED, but not when a primary is gone.
		c.(*redis.ClusterClient).ReloadState(ctx)
		return c.Get(ctx, "k").Val() == "v"
	})
	if now := g.PrimaryOf(t, "k"); now == old {
		t.Error("the killed server still serves the slot")
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not true within a minute: %s", what)
}
