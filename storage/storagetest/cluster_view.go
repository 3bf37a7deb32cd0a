package storagetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// clusterNode is a node as another one sees it: a line of CLUSTER NODES.
type clusterNode struct {
	id      string
	port    int
	primary bool
	of      string // the primary's ID, for a replica
	failed  bool   // or suspected to have failed
	moving  bool   // a slot is being moved
	slots   [][2]int
}

func (n clusterNode) serves(slot int) bool {
	return slices.ContainsFunc(n.slots, func(r [2]int) bool { return r[0] <= slot && slot <= r[1] })
}

func (n clusterNode) count() int {
	sum := 0
	for _, r := range n.slots {
		sum += r[1] - r[0] + 1
	}
	return sum
}

// nodesSeenBy returns the nodes as the server sees them, or nil if it does not answer.
func nodesSeenBy(s *Server) []clusterNode {
	c := s.plainClient()
	defer func() { _ = c.Close() }()
	text, err := c.ClusterNodes(context.Background()).Result()
	if err != nil {
		return nil
	}
	var nodes []clusterNode
	for line := range strings.Lines(text) {
		// id ip:port@bus flags primary ping pong epoch link slots…
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags := strings.Split(fields[2], ",")
		n := clusterNode{id: fields[0], of: fields[3], primary: slices.Contains(flags, "master")}
		n.failed = slices.Contains(flags, "fail") || slices.Contains(flags, "fail?") || slices.Contains(flags, "handshake")
		address, _, _ := strings.Cut(fields[1], "@")
		n.port, _ = strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
		for _, slot := range fields[8:] {
			if strings.HasPrefix(slot, "[") {
				n.moving = true
				continue
			}
			first, last, isRange := strings.Cut(slot, "-")
			if !isRange {
				last = first
			}
			a, _ := strconv.Atoi(first)
			b, _ := strconv.Atoi(last)
			n.slots = append(n.slots, [2]int{a, b})
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b clusterNode) int { return strings.Compare(a.id, b.id) })
	return nodes
}

// view returns the nodes if the cluster is healthy, as WaitHealthy says it, and nil otherwise.
func (c *Cluster) view() []clusterNode {
	var first []clusterNode
	for _, s := range c.Servers {
		if !s.Running() {
			continue
		}
		nodes := nodesSeenBy(s)
		if nodes == nil || !caughtUp(s) || first != nil && summary(nodes) != summary(first) {
			return nil
		}
		first = nodes
	}
	served := 0
	for _, n := range first {
		running := c.server(n) != nil
		if n.moving || running && n.failed || !running && n.primary && len(n.slots) > 0 {
			return nil
		}
		served += n.count()
	}
	if len(first) != len(c.Servers) || served != 1<<14 {
		return nil
	}
	return first
}

// summary is what nodes must agree on.
func summary(nodes []clusterNode) string {
	var text strings.Builder
	for _, n := range nodes {
		fmt.Fprintln(&text, n.id, n.primary, n.of, n.failed, n.moving, n.slots)
	}
	return text.String()
}

// caughtUp reports whether the node serves and, if it is a replica, is in step with its primary.
func caughtUp(s *Server) bool {
	c := s.plainClient()
	defer func() { _ = c.Close() }()
	info, err := c.ClusterInfo(context.Background()).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") {
		return false
	}
	replication, err := c.Info(context.Background(), "replication").Result()
	return err == nil && (strings.Contains(replication, "role:master") || strings.Contains(replication, "master_link_status:up"))
}

// server returns the running process of the node, or nil.
func (c *Cluster) server(n clusterNode) *Server {
	for _, s := range c.Servers {
		if s.port == n.port && s.Running() {
			return s
		}
	}
	return nil
}

// primaryFor returns the primary of the shard to which the server belongs, or nil.
func primaryFor(nodes []clusterNode, s *Server) *clusterNode {
	for _, n := range nodes {
		if n.port != s.port {
			continue
		}
		for i, p := range nodes {
			if p.primary && (p.id == n.id || p.id == n.of) {
				return &nodes[i]
			}
		}
	}
	return nil
}
