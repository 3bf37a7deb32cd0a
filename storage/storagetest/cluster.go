package storagetest

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of three primaries with one replica each.
type Cluster struct {
	Servers []*Server
}

// StartCluster starts the six processes and returns when all nodes agree on the slots and each replica has caught up.
// A node counts as down after five seconds of silence, so that a busy machine causes no failover. A test that times a failover
// sets "cluster-node-timeout 1000" in Options.Config.
func StartCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	requireInstalled(t)
	if o.Password != "" || o.UnixSocket {
		t.Fatal("StartCluster: Password and UnixSocket are not supported")
	}
	c := &Cluster{}
	for range 6 {
		node := o
		node.Config = append([]string{
			"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 5000",
			"cluster-port " + strconv.Itoa(freePort(t)), "repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
		}, o.Config...)
		c.Servers = append(c.Servers, StartRedis(t, node))
	}
	args := append([]string{"--cluster", "create"}, c.Addrs()...)
	if err := runCLI(append(args, "--cluster-replicas", "1", "--cluster-yes")...); err != nil {
		t.Fatal(err)
	}
	c.WaitHealthy(t, time.Minute)
	return c
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string { return addrs(c.Servers) }

// Client returns a cluster client. A nil change is allowed.
func (c *Cluster) Client(t testing.TB, change func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	return universal(t, redis.UniversalOptions{Addrs: c.Addrs()}, change)
}

// WaitHealthy waits until all slots are served, every running node reports the same slots and roles, no slot is being moved, and
// every running replica has caught up with its primary.
func (c *Cluster) WaitHealthy(t testing.TB, within time.Duration) {
	t.Helper()
	eventually(t, within, "the cluster is healthy", func() bool { return c.view() != nil })
}

// PrimaryOf returns the node that serves the key now. During a failover it waits for its end.
func (c *Cluster) PrimaryOf(t testing.TB, key string) *Server {
	t.Helper()
	var primary *Server
	eventually(t, 30*time.Second, fmt.Sprintf("a node serves %q", key), func() bool {
		for _, s := range c.Servers {
			if !s.Running() {
				continue
			}
			client := s.plainClient()
			slot, err := client.ClusterKeySlot(context.Background(), key).Result()
			_ = client.Close()
			if err != nil {
				continue
			}
			for _, n := range nodesSeenBy(s) {
				if primary = c.server(n); n.primary && n.serves(int(slot)) && primary != nil {
					return true
				}
			}
		}
		return false
	})
	return primary
}

// Primaries returns the nodes that serve slots now. It waits until the nodes agree on them.
func (c *Cluster) Primaries(t testing.TB) []*Server {
	t.Helper()
	var out []*Server
	eventually(t, time.Minute, "the cluster is healthy", func() bool {
		for _, n := range c.view() {
			if n.primary && len(n.slots) > 0 {
				out = append(out, c.server(n))
			}
		}
		return len(out) > 0
	})
	return out
}

// FailOver makes the replica of a primary take over its slots (CLUSTER FAILOVER), as an operator does who wants to maintain the
// primary. It returns when all nodes agree on it.
func (c *Cluster) FailOver(t testing.TB, primary *Server) {
	t.Helper()
	var sent time.Time
	eventually(t, time.Minute, "the replica has taken over", func() bool {
		nodes := c.view()
		now := primaryFor(nodes, primary)
		if now == nil || now.port != primary.port {
			return now != nil
		}
		if time.Since(sent) < 10*time.Second { // it would begin again, and the primary pauses meanwhile
			return false
		}
		for _, n := range nodes {
			if n.of != now.id {
				continue
			}
			replica := c.server(n).plainClient()
			if replica.ClusterFailover(context.Background()).Err() == nil {
				sent = time.Now()
			}
			_ = replica.Close()
		}
		return false
	})
}

// Reshard moves n slots with their keys from one shard to another while the cluster serves. from and to may be any nodes
// of the two shards: the slots move between the nodes that are primaries at that time. It returns when the nodes agree on the
// move.
func (c *Cluster) Reshard(t testing.TB, from, to *Server, n int) {
	t.Helper()
	before := -1
	var last error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		nodes := c.view()
		source, target := primaryFor(nodes, from), primaryFor(nodes, to)
		if source == nil || target == nil {
			continue // a failover or a move is going on
		}
		if before < 0 {
			before = target.count()
		}
		left := before + n - target.count()
		if left <= 0 {
			return
		}
		last = runCLI("--cluster", "reshard", c.server(*source).Addr, "--cluster-from", source.id, "--cluster-to", target.id,
			"--cluster-slots", strconv.Itoa(left), "--cluster-yes")
		if last != nil { // it may have stopped in the middle of a slot
			_ = runCLI("--cluster", "fix", c.server(*source).Addr)
		}
	}
	t.Fatalf("%d slots could not be moved within 2 minutes: %v", n, last)
}

func runCLI(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput() // #nosec G204 -- a tool for tests
	if err != nil {
		return fmt.Errorf("redis-cli %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
