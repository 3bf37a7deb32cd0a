package storagetest

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
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

// StartCluster starts the six processes and returns when each node sees the whole cluster and each
// replica its primary. A node counts as down after one second of silence.
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
			"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
			"cluster-port " + strconv.Itoa(freePort(t)), "repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
		}, o.Config...)
		c.Servers = append(c.Servers, StartRedis(t, node))
	}
	args := append([]string{"--cluster", "create"}, c.Addrs()...)
	c.cli(t, append(args, "--cluster-replicas", "1", "--cluster-yes")...)
	c.WaitHealthy(t, 30*time.Second)
	return c
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string { return addrs(c.Servers) }

// Client returns a cluster client. A nil change is allowed.
func (c *Cluster) Client(t testing.TB, change func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	return universal(t, redis.UniversalOptions{Addrs: c.Addrs()}, change)
}

// WaitHealthy waits until every running node calls the cluster whole and every running replica has
// caught up with its primary.
func (c *Cluster) WaitHealthy(t testing.TB, within time.Duration) {
	t.Helper()
	eventually(t, within, "the cluster is whole", func() bool {
		for _, s := range c.Servers {
			if s.Running() && !healthy(s) {
				return false
			}
		}
		return true
	})
}

func healthy(s *Server) bool {
	cl := s.plainClient()
	defer func() { _ = cl.Close() }()
	info, err := cl.ClusterInfo(context.Background()).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") {
		return false
	}
	repl, err := cl.Info(context.Background(), "replication").Result()
	if err != nil {
		return false
	}
	return strings.Contains(repl, "role:master") || strings.Contains(repl, "master_link_status:up")
}

// PrimaryOf returns the node that serves the key now.
func (c *Cluster) PrimaryOf(t testing.TB, key string) *Server {
	t.Helper()
	for _, s := range c.Servers {
		if !s.Running() {
			continue
		}
		cl := s.plainClient()
		slot, err := cl.ClusterKeySlot(context.Background(), key).Result()
		shards, serr := cl.ClusterShards(context.Background()).Result()
		_ = cl.Close()
		if err != nil || serr != nil {
			continue
		}
		for _, shard := range shards {
			if primary := c.primary(shard, slot); primary != nil {
				return primary
			}
		}
	}
	t.Fatalf("nobody serves %q", key)
	return nil
}

// primary returns the primary of the shard if the shard has the slot.
func (c *Cluster) primary(shard redis.ClusterShard, slot int64) *Server {
	has := func(r redis.SlotRange) bool { return r.Start <= slot && slot <= r.End }
	if !slices.ContainsFunc(shard.Slots, has) {
		return nil
	}
	for _, n := range shard.Nodes {
		for _, s := range c.Servers {
			if n.Role == "master" && n.Port == int64(s.port) && s.Running() {
				return s
			}
		}
	}
	return nil
}

// Reshard moves n slots with their keys from one primary to another while the cluster serves.
func (c *Cluster) Reshard(t testing.TB, from, to *Server, n int) {
	t.Helper()
	c.waitAgreed(t, from)
	c.cli(t, "--cluster", "reshard", from.Addr, "--cluster-from", nodeID(t, from), "--cluster-to", nodeID(t, to),
		"--cluster-slots", strconv.Itoa(n), "--cluster-yes")
}

// waitAgreed waits until all nodes tell of the same slots: after a move that takes a moment, in which redis-cli refuses the
// next one.
func (c *Cluster) waitAgreed(t testing.TB, node *Server) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := tryCLI("--cluster", "check", node.Addr)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Primaries are the nodes that serve slots now.
func (c *Cluster) Primaries(t testing.TB) []*Server {
	t.Helper()
	var out []*Server
	for _, s := range c.Servers {
		if !s.Running() {
			continue
		}
		cl := s.plainClient()
		nodes, _ := cl.ClusterNodes(context.Background()).Result()
		_ = cl.Close()
		for line := range strings.Lines(nodes) {
			// id addr flags primary ping pong epoch link slots…
			if f := strings.Fields(line); len(f) > 8 && strings.Contains(f[2], "myself,master") {
				out = append(out, s)
			}
		}
	}
	return out
}

func nodeID(t testing.TB, s *Server) string {
	t.Helper()
	id, err := s.Client(t).Do(context.Background(), "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatalf("cluster myid: %v", err)
	}
	return id
}

func (c *Cluster) cli(t testing.TB, args ...string) {
	t.Helper()
	if err := tryCLI(args...); err != nil {
		t.Fatal(err)
	}
}

func tryCLI(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("redis-cli %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
