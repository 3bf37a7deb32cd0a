package faults_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func clusterStores(t *testing.T, g *storagetest.Cluster, o storage.Options) []tokenStore {
	t.Helper()
	return directly(t, 2, o, connect(t, redis.UniversalOptions{Addrs: g.Addrs()}))
}

func TestFaultClusterKilledPrimary(t *testing.T) {
	bothDurabilities(t, func(t *testing.T, o storage.Options, loss time.Duration) {
		g := storagetest.StartCluster(t, storagetest.Options{Config: []string{"cluster-node-timeout 1000", "cluster-require-full-coverage no"}})
		stores := clusterStores(t, g, o)
		for range scale(1, 10) {
			e := newEngine(false, stores...)
			e.users = stores[0].(*storage.Store).Users
			if err := stores[0].(*storage.Store).PutClient(t.Context(), e.client); err != nil {
				t.Fatal(err)
			}
			old := g.Primaries(t)[0]
			f := fault{
				inject: old.Kill, heal: func() {}, failover: true, recoverWithin: 5 * time.Second, lossWindow: loss,
				probe: loginsOn(t, g, old, e, stores),
			}
			if o.Replicas > 0 {
				// The replica that takes over has no replica: no write can be replicated until the node is back.
				f.lasts, f.heal = 3*time.Second, func() { old.Restart(t) }
			}
			e.under(t, f)
			if !old.Running() {
				old.Restart(t)
			}
			g.WaitHealthy(t, time.Minute)
		}
	})
}

// A server that only writes hears of a new primary too: in replicated mode go-redis does not see the redirections.
func TestFaultClusterWritesFollowAFailover(t *testing.T) {
	t.Parallel()
	g := storagetest.StartCluster(t, storagetest.Options{})
	stores := clusterStores(t, g, confirmed(1))[:1]
	e := newEngine(false, stores...)
	register(t, e, stores[0])
	// Each write reads the epoch of the store first, and a redirection of that one would be seen.
	old := slices.DeleteFunc(g.Primaries(t), func(s *storagetest.Server) bool { return s == g.PrimaryOf(t, "opgrant:epoch:2") })[0]
	write := loginsOn(t, g, old, e, stores)
	if err := write(); err != nil {
		t.Fatal(err)
	}
	g.FailOver(t, old)
	g.WaitHealthy(t, time.Minute)
	refused := 0
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := write()
		if err == nil {
			t.Logf("%d writes were refused in %v", refused, time.Since(begun).Round(time.Millisecond))
			return
		}
		if refused++; time.Since(begun) > 5*time.Second {
			t.Fatalf("still refused after 5 s: %v", err)
		}
	}
}

// Slots move from node to node while their sessions are used. Nothing is lost, so the strict model holds.
func TestFaultClusterSlotMigration(t *testing.T) {
	bothWays(t, func(t *testing.T, strict bool) {
		g := storagetest.StartCluster(t, storagetest.Options{})
		stores := clusterStores(t, g, storage.Options{})
		e := newEngine(strict, stores...)
		e.users = stores[0].(*storage.Store).Users
		if err := stores[0].(*storage.Store).PutClient(t.Context(), e.client); err != nil {
			t.Fatal(err)
		}
		nodes := g.Primaries(t)
		e.under(t, fault{
			inject:        func() { g.Reshard(t, nodes[0], nodes[1], scale(500, 2000)) },
			heal:          func() { g.Reshard(t, nodes[1], nodes[2], scale(500, 2000)) },
			recoverWithin: 5 * time.Second,
		})
	})
}

// loginsOn returns a probe that logs in on each store, with a user whose slot is on the node.
func loginsOn(t *testing.T, g *storagetest.Cluster, node *storagetest.Server, e *engine, stores []tokenStore) func() error {
	t.Helper()
	for n := 0; ; n++ {
		subject := "probe" + strconv.Itoa(n)
		if g.PrimaryOf(t, "{"+storage.NewSessionID(subject)[:22]+"}") != node {
			continue
		}
		return func() error {
			id := storage.NewSessionID(subject)
			req := sessionRequest(id, subject, e.client, time.Hour, time.Hour)
			for _, s := range stores {
				if err := login(context.Background(), s, storage.Signature(id, "a"), storage.Signature(id, "r"), req); err != nil {
					return err
				}
			}
			return nil
		}
	}
}
