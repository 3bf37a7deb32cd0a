package storagetest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is the name under which StartSentinel's sentinels watch their primary.
const MasterName = "opgrant"

// Sentinel is one primary, two replicas and three sentinels. Servers[0] is the primary until the first failover.
type Sentinel struct {
	Servers   []*Server
	Sentinels []*Server
}

// StartSentinel starts the six processes and returns when every sentinel knows all of them. A primary
// counts as down after one second of silence.
func StartSentinel(t testing.TB, o Options) *Sentinel {
	t.Helper()
	requireInstalled(t)
	if o.Password != "" || o.UnixSocket {
		t.Fatal("StartSentinel: Password and UnixSocket are not supported")
	}
	o.Config = append([]string{"repl-diskless-sync-delay 0"}, o.Config...)
	g := &Sentinel{Servers: []*Server{StartRedis(t, o)}}
	primary := g.Servers[0]
	replica := o
	replica.Config = append([]string{"replicaof 127.0.0.1 " + strconv.Itoa(primary.port)}, o.Config...)
	for range 2 {
		g.Servers = append(g.Servers, StartRedis(t, replica))
	}
	for range 3 {
		s := &Server{Dir: shortDir(t), sentinel: true}
		t.Cleanup(s.discard)
		s.launch(t, []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", MasterName, primary.port),
			"sentinel down-after-milliseconds " + MasterName + " 1000",
			"sentinel failover-timeout " + MasterName + " 5000",
			"sentinel parallel-syncs " + MasterName + " 2",
		})
		g.Sentinels = append(g.Sentinels, s)
	}
	eventually(t, 30*time.Second, "all sentinels know two replicas and each other", func() bool {
		for _, s := range g.Sentinels {
			m := masterOf(t, s)
			if m["num-slaves"] != "2" || m["num-other-sentinels"] != "2" {
				return false
			}
		}
		return true
	})
	g.WaitHealthy(t, 30*time.Second)
	return g
}

// WaitHealthy waits until two of the three servers are replicas that have caught up.
func (g *Sentinel) WaitHealthy(t testing.TB, within time.Duration) {
	t.Helper()
	eventually(t, within, "both replicas have caught up", func() bool {
		up := 0
		for _, s := range g.Servers {
			if s.Running() && linkUp(s) {
				up++
			}
		}
		return up == 2
	})
}

// Addrs are the addresses of the sentinels.
func (g *Sentinel) Addrs() []string { return addrs(g.Sentinels) }

// Primary returns the server that all sentinels name as the primary. During a failover it waits until they agree.
func (g *Sentinel) Primary(t testing.TB) *Server {
	t.Helper()
	var primary *Server
	eventually(t, 30*time.Second, "the sentinels agree on a primary", func() bool {
		ports := map[string]bool{}
		for _, sentinel := range g.Sentinels {
			ports[masterOf(t, sentinel)["port"]] = true
		}
		for _, s := range g.Servers {
			if len(ports) == 1 && ports[strconv.Itoa(s.port)] {
				primary = s
			}
		}
		return primary != nil
	})
	return primary
}

// FailOver makes the sentinels replace the primary, as an operator does who wants to maintain it. It returns when all of them name
// the new one; the old one may become a replica only seconds later.
func (g *Sentinel) FailOver(t testing.TB) {
	t.Helper()
	old := g.Primary(t)
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		// It is refused while no replica has been heard of lately, and while another failover is going on.
		c := redis.NewSentinelClient(&redis.Options{Addr: g.Sentinels[0].Addr, MaxRetries: -1, Protocol: 2})
		err = c.Failover(context.Background(), MasterName).Err()
		_ = c.Close()
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("SENTINEL FAILOVER: %v", err)
	}
	eventually(t, 30*time.Second, "the sentinels name another primary", func() bool { return g.Primary(t) != old })
}

// Follow makes a deposed primary a replica of the new one, and lifts a pause of its writes. Sentinels need ten seconds for that.
func (g *Sentinel) Follow(t testing.TB, old *Server) {
	t.Helper()
	c := old.plainClient()
	defer func() { _ = c.Close() }()
	if err := c.ReplicaOf(context.Background(), "127.0.0.1", strconv.Itoa(g.Primary(t).port)).Err(); err != nil {
		t.Fatalf("REPLICAOF: %v", err)
	}
	if err := c.Do(context.Background(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatalf("CLIENT UNPAUSE: %v", err)
	}
}

// Client returns a client that follows failovers. A nil change is allowed.
func (g *Sentinel) Client(t testing.TB, change func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	return universal(t, redis.UniversalOptions{Addrs: g.Addrs(), MasterName: MasterName}, change)
}

// ReplicasCaughtUp tells whether each of the primary's replicas has confirmed all of its writes.
func ReplicasCaughtUp(primary *Server) bool {
	c := primary.plainClient()
	defer func() { _ = c.Close() }()
	role, err := c.Do(context.Background(), "ROLE").Slice() // "master", offset, replicas
	if err != nil || len(role) != 3 {
		return false
	}
	replicas, _ := role[2].([]any)
	for _, r := range replicas { // host, port, offset
		if at, ok := r.([]any); !ok || len(at) != 3 || at[2] != fmt.Sprint(role[1]) {
			return false
		}
	}
	return len(replicas) > 0
}

func linkUp(replica *Server) bool {
	c := replica.plainClient()
	defer func() { _ = c.Close() }()
	info, err := c.Info(context.Background(), "replication").Result()
	return err == nil && strings.Contains(info, "master_link_status:up")
}

func masterOf(t testing.TB, sentinel *Server) map[string]string {
	t.Helper()
	c := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr, MaxRetries: -1, Protocol: 2})
	defer func() { _ = c.Close() }()
	m, err := c.Master(context.Background(), MasterName).Result()
	if err != nil {
		return nil
	}
	return m
}

func universal(t testing.TB, o redis.UniversalOptions, change func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
	if change != nil {
		change(&o)
	}
	c := redis.NewUniversalClient(&o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	}
	return out
}

// eventually polls ok until it is true, and fails the test with the description if that takes too long.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not true within %v: %s", within, what)
}
