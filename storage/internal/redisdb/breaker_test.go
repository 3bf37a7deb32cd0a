package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

// settled waits until no probe is under way, and tells whether the breaker is open.
func (b *breaker) settled(t *testing.T) bool {
	t.Helper()
	for range 1000 {
		b.mu.Lock()
		probing, open := b.probing, b.open
		b.mu.Unlock()
		if !probing {
			return open
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the probe does not end")
	return false
}

func newDB(t *testing.T, o redis.UniversalOptions) *DB {
	t.Helper()
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	client := redis.NewUniversalClient(&o)
	t.Cleanup(func() { _ = client.Close() })
	d, err := New(Config{Client: client, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *DB) ping(ctx context.Context) error {
	return d.Do(ctx, "ping", func(ctx context.Context) error { return d.Client.Ping(ctx).Err() })
}

// Failures that are this process' own do not open the breaker while Redis answers.
func TestSaturationIsNotAnOutage(t *testing.T) {
	server := storagetest.StartInstance(t)
	timeout := &net.OpError{Op: "read", Err: context.DeadlineExceeded}
	for name, failure := range map[string]error{
		"pool timeout": redis.ErrPoolTimeout, "own deadline": context.DeadlineExceeded, "i/o timeout of a starved process": timeout,
	} {
		t.Run(name, func(t *testing.T) {
			d := newDB(t, redis.UniversalOptions{Addrs: []string{server.Addr}})
			for i := range 100 {
				if err := d.Do(t.Context(), "fail", func(context.Context) error { return failure }); !errors.Is(err, failure) || !unavailable.Is(err) {
					t.Fatalf("%d: %v", i, err)
				}
			}
			if d.breaker.settled(t) {
				t.Error("the breaker is open")
			}
			if d.breaker.probed.IsZero() {
				t.Error("Redis was not asked: the test shows nothing")
			}
			if err := d.ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// All connections are in use for long: others fail, and the breaker stays closed.
func TestABusyPoolKeepsTheBreakerClosed(t *testing.T) {
	server := storagetest.StartInstance(t)
	d := newDB(t, redis.UniversalOptions{Addrs: []string{server.Addr}, PoolSize: 2, MaxActiveConns: 2, PoolTimeout: time.Millisecond, ReadTimeout: time.Minute})
	ctx, release := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { d.Client.BLPop(ctx, time.Minute, "nothing") })
	}
	other := server.Client(t)
	for {
		clients, err := other.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n := countBlocked(clients); n == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for range 100 {
		if err := d.ping(t.Context()); !errors.Is(err, redis.ErrPoolTimeout) {
			t.Fatal(err)
		}
	}
	if d.breaker.settled(t) {
		t.Error("the breaker is open")
	}
	release()
	other.LPush(t.Context(), "nothing", "1", "2")
	all.Wait()
}

func countBlocked(clients string) int {
	n := 0
	for _, line := range strings.Split(clients, "\n") {
		if strings.Contains(line, "cmd=blpop") {
			n++
		}
	}
	return n
}

// A frozen Redis keeps its connections open and answers nothing.
func TestAFrozenRedisOpensTheBreaker(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	d := newDB(t, redis.UniversalOptions{Addrs: []string{server.Addr}, ReadTimeout: 50 * time.Millisecond})
	if err := d.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Freeze(t)
	openByFailures(t, d)
	asked := false
	if err := d.Do(t.Context(), "ask", func(context.Context) error { asked = true; return nil }); !errors.Is(err, errOpen) || !unavailable.Is(err) || asked {
		t.Errorf("while it is open: %v, Redis asked: %v", err, asked)
	}
	server.Thaw(t)
	closeAgain(t, d)
}

// The handshake of TLS ends by the time-out of the client, whatever the probe's is.
func TestASilentRedisBehindTLSOpensTheBreaker(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	client := redis.NewClient(&redis.Options{Addr: silent.Addr().String(), DialTimeout: 20 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}})
	defer func() { _ = client.Close() }()
	b := newBreaker(newProbe(client))
	for range suspectAfter {
		b.count(context.DeadlineExceeded)
	}
	if !b.settled(t) || !b.isOpen() {
		t.Error("the breaker is closed")
	}
}

// The probe speaks RESP: a proxy in front of Redis may know nothing else.
func TestTheBreakerClosesBehindAProxy(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	proxy := storagetest.StartProxy(t, server.Addr)
	d := newDB(t, redis.UniversalOptions{Addrs: []string{proxy.Addr}, ReadTimeout: 50 * time.Millisecond})
	server.Freeze(t)
	openByFailures(t, d)
	server.Thaw(t)
	closeAgain(t, d)
}

func TestRefusedConnectionsOpenTheBreaker(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	d := newDB(t, redis.UniversalOptions{Addrs: []string{server.Addr}})
	server.Kill()
	openByFailures(t, d)
	server.Restart(t)
	closeAgain(t, d)
}

func openByFailures(t *testing.T, d *DB) {
	t.Helper()
	var all sync.WaitGroup
	for range suspectAfter {
		all.Go(func() {
			if err := d.ping(t.Context()); !unavailable.Is(err) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !d.breaker.settled(t) || !d.Open() {
		t.Fatal("the breaker is closed")
	}
}

// closeAgain waits until an operation succeeds. Before, each fails at once or after a probe.
func closeAgain(t *testing.T, d *DB) {
	t.Helper()
	for range 1000 {
		if err := d.ping(t.Context()); err == nil {
			if d.Open() {
				t.Error("still open")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no recovery")
}

// One probe at a time, and its panic ends nothing.
func TestBreakerProbesOneAtATime(t *testing.T) {
	var mutex sync.Mutex
	running, most, probes := 0, 0, 0
	b := newBreaker(func() error {
		mutex.Lock()
		running, probes = running+1, probes+1
		most = max(most, running)
		mutex.Unlock()
		time.Sleep(20 * time.Millisecond)
		mutex.Lock()
		running--
		mutex.Unlock()
		panic("of a dialer")
	})
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { _ = b.run(func() error { return context.DeadlineExceeded }) })
	}
	all.Wait()
	if !b.settled(t) {
		t.Error("closed, though the probe failed")
	}
	b.mu.Lock()
	b.probed = time.Time{} // long ago
	b.mu.Unlock()
	for range 200 {
		all.Go(func() {
			if err := b.run(func() error { return nil }); !errors.Is(err, errOpen) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most != 1 || probes != 2 {
		t.Errorf("%d probes, %d at a time", probes, most)
	}
}

// A probe that fails late says that this process is short of time, not that Redis is away.
func TestALateProbeTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time is fake
		took, probes := 2*probeTimeout, 0
		b := newBreaker(func() error { probes++; time.Sleep(took); return context.DeadlineExceeded })
		fail := func() {
			for range suspectAfter {
				_ = b.run(func() error { return context.DeadlineExceeded })
			}
			time.Sleep(time.Minute)
		}
		if fail(); b.isOpen() || probes != 3 {
			t.Errorf("open %v after %d late probes", b.isOpen(), probes)
		}
		took = probeTimeout
		if fail(); !b.isOpen() || probes != 4 {
			t.Errorf("open %v after a probe in time, the %dth", b.isOpen(), probes)
		}
		took = 2 * probeTimeout
		if err := b.run(func() error { return nil }); !errors.Is(err, errOpen) || probes != 5 {
			t.Errorf("%v after %d probes", err, probes)
		}
	})
}

// Successes and callers that hang up in between: only failures in a row count.
func TestBreakerCountsFailuresInARow(t *testing.T) {
	b := newBreaker(func() error { t.Error("probed"); return nil })
	run := func(n int, err error) {
		for range n {
			_ = b.run(func() error { return err })
		}
	}
	for range 10 {
		run(suspectAfter-1, context.DeadlineExceeded)
		run(1, nil)
		run(suspectAfter-1, context.DeadlineExceeded)
		run(1, redis.Nil) // Redis answered
	}
	run(100, context.Canceled)
}

// A Cluster is there while one of its nodes is: the slots of the others can be used.
func TestProbeOfACluster(t *testing.T) {
	live, dead := storagetest.StartInstance(t), storagetest.StartRedis(t, storagetest.Options{})
	dead.Kill()
	for _, row := range []struct {
		addrs []string
		alive bool
	}{{[]string{dead.Addr, live.Addr}, true}, {[]string{dead.Addr, dead.Addr}, false}} {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: row.addrs})
		if err := newProbe(client)(); (err == nil) != row.alive {
			t.Errorf("%v: %v", row.addrs, err)
		}
		_ = client.Close()
	}
}

// A Cluster whose nodes are not configured is asked as it asks itself.
func TestProbeOfNodesThatAFunctionTells(t *testing.T) {
	dead := storagetest.StartRedis(t, storagetest.Options{})
	slots := func(context.Context) ([]redis.ClusterSlot, error) {
		return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: dead.Addr}}}}, nil
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: slots})
	defer func() { _ = client.Close() }()
	if err := newProbe(client)(); err != nil {
		t.Error(err)
	}
	dead.Kill()
	if newProbe(client)() == nil {
		t.Error("a dead Redis answers")
	}
}

// A Redis that wants a password, or is loading, answers.
func TestProbeTakesAnyReplyForAnAnswer(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{Password: "private"})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = client.Close() }()
	if err := newProbe(client)(); err != nil {
		t.Error(err)
	}
}
