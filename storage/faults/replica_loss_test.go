package faults_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// With one of two replicas to confirm, one that hangs makes writes slow, and one that dies makes them unavailable until it is clear
// that it has not been promoted.
func TestFaultReplicaHangsAndDies(t *testing.T) {
	t.Parallel()
	g := storagetest.StartSentinel(t, storagetest.Options{})
	stores := directly(t, 1, storage.Options{Replicas: 1}, connect(t, redis.UniversalOptions{Addrs: g.Addrs(), MasterName: storagetest.MasterName}))
	e := newEngine(false, stores...)
	register(t, e, stores[0])
	write := func() error {
		id := storage.NewSessionID("user")
		return login(t.Context(), stores[0], storage.Signature(id, "a"), storage.Signature(id, "r"), sessionRequest(id, "user", e.client, time.Hour, time.Hour))
	}
	var replica *storagetest.Server
	for _, s := range g.Servers {
		if s != g.Primary(t) {
			replica = s
		}
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	replica.Freeze(t)
	for range 5 {
		if err := write(); err != nil {
			t.Errorf("a replica hangs: %v", err)
		}
	}
	replica.Thaw(t)
	replica.Kill()
	begun := time.Now()
	until(t, "the primary has noticed", func() bool { return write() != nil })
	until(t, "writes are confirmed again", func() bool { return write() == nil })
	t.Logf("unavailable for %v after a replica has died", time.Since(begun).Round(time.Millisecond))
	replica.Restart(t)
	g.WaitHealthy(t, time.Minute)
	if err := write(); err != nil {
		t.Error(err)
	}
}

// A Cluster's check looks at every primary.
func TestClusterCheckFindsThePrimaryWithoutReplica(t *testing.T) {
	t.Parallel()
	g := storagetest.StartCluster(t, storagetest.Options{})
	s := newStore(t, g.Client(t, nil), confirmed(1))
	lacking := func() (found []string) {
		warnings, err := s.CheckServer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range warnings {
			if strings.Contains(w, "replicas that must confirm") {
				found = append(found, w)
			}
		}
		return found
	}
	if found := lacking(); len(found) > 0 {
		t.Errorf("while all have one: %q", found)
	}
	primaries := g.Primaries(t)
	for _, n := range g.Servers {
		if !slices.Contains(primaries, n) {
			n.Kill()
			break
		}
	}
	until(t, "one primary is named", func() bool {
		found := lacking()
		return len(found) == 1 && slices.ContainsFunc(primaries, func(p *storagetest.Server) bool { return strings.Contains(found[0], p.Addr) })
	})
}
