package storagetest_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// hang is the time-out of calls that must succeed. It exists to fail a test that hangs.
const hang = 30 * time.Second

func TestKilledServerKeepsWhatItsAOFHolds(t *testing.T) {
	ctx := context.Background()
	s := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFAlways, Password: "secret"})
	c := s.Client(t)
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := c.Get(ctx, "k").Err(); err == nil || s.Running() {
		t.Fatal("the killed server answers")
	}
	s.Restart(t)
	if got := c.Get(ctx, "k").Val(); got != "v" {
		t.Errorf("after kill -9 and restart: %q, want v", got)
	}
}

func TestFrozenServerIsSilentAndThawsAgain(t *testing.T) {
	s := storagetest.StartRedis(t, storagetest.Options{UnixSocket: true})
	c := redis.NewClient(&redis.Options{Addr: s.Socket, Network: "unix", MaxRetries: -1, ReadTimeout: hang, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	ping := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return c.Ping(ctx).Err()
	}
	if err := ping(hang); err != nil {
		t.Fatal(err)
	}
	s.Freeze(t)
	var timeout net.Error
	if err := ping(100 * time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("ping of the frozen server: %v, want a time-out", err)
	}
	s.Thaw(t)
	if err := ping(hang); err != nil {
		t.Errorf("after thawing: %v", err)
	}
}

func TestRedisRunsOnAFakeAndOnARealServer(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		ctx, c := context.Background(), r.Client(t)
		c.Set(ctx, "short", 1, 50*time.Millisecond)
		c.Set(ctx, "long", 1, time.Hour)
		r.Advance(100 * time.Millisecond)
		if got := r.Keys(t); len(got) != 1 || got[0] != "long" {
			t.Errorf("keys after the short one has expired: %v", got)
		}
		heal := r.Break(t)
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		if err := c.Get(short, "long").Err(); err == nil || errors.Is(err, redis.Nil) {
			t.Errorf("answer of a broken server: %v", err)
		}
		heal()
		if err := c.Get(ctx, "long").Err(); err != nil {
			t.Errorf("after healing: %v", err)
		}
	})
}

// The proxy must cut after the command has run: the counter is incremented and the caller gets an error.
func TestProxyCutsAfterExecution(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		ctx := context.Background()
		p := storagetest.StartProxy(t, r.Addr)
		c := redis.NewClient(&redis.Options{Addr: p.Addr, MaxRetries: -1})
		defer func() { _ = c.Close() }()
		incr := func() error { return c.Eval(ctx, "return redis.call('INCR', KEYS[1])", []string{"n"}).Err() }
		value := func() string { return r.Client(t).Get(ctx, "n").Val() }

		if err := incr(); err != nil || value() != "1" {
			t.Fatalf("without faults: %v, counter %s", err, value())
		}
		p.Set(storagetest.Faults{CutAfter: 1})
		if err := incr(); err == nil || value() != "2" {
			t.Errorf("cut after execution: error %v, counter %s; want an error and 2", err, value())
		}
		if err := c.Ping(ctx).Err(); err != nil {
			t.Errorf("commands that are not scripts are forwarded: %v", err)
		}
		p.Set(storagetest.Faults{CutBefore: 1})
		if err := incr(); err == nil || value() != "2" {
			t.Errorf("cut before execution: error %v, counter %s; want an error and 2", err, value())
		}
		p.Set(storagetest.Faults{Drop: true, Match: func([]string) bool { return false }})
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		var timeout net.Error
		if err := c.WithTimeout(100 * time.Millisecond).Ping(short).Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("dropped reply: %v, want a timeout", err)
		}
		p.Set(storagetest.Faults{})
		p.CutAll()
		if err := incr(); err != nil && incr() != nil {
			t.Errorf("after the faults: %v", err)
		}
		if before, after := p.Cuts(); before != 1 || after != 1 {
			t.Errorf("cuts %d before, %d after execution; want 1 and 1", before, after)
		}
	})
}

func TestExtraConfigurationReachesTheServer(t *testing.T) {
	s := storagetest.StartRedis(t, storagetest.Options{Config: []string{"maxmemory 20mb"}})
	got := s.Client(t).ConfigGet(context.Background(), "maxmemory").Val()
	if got["maxmemory"] != "20971520" {
		t.Errorf("extra lines of configuration: maxmemory is %v", got)
	}
	if !strings.Contains(s.LogTail(50), "Ready to accept connections") {
		t.Errorf("log: %s", s.LogTail(50))
	}
}
