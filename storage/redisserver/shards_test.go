package redisserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// shards are servers that a Cluster client takes for the primaries of a Cluster without replicas. The slot of each of the keys is on
// a server of its own, and the last server has the other slots. Unlike a Cluster they start at once, and none takes over.
type shards struct {
	servers []*storagetest.Server
	slots   []redis.ClusterSlot
}

func startShards(t *testing.T, keys ...string) *shards {
	t.Helper()
	s := &shards{}
	for range len(keys) + 1 {
		s.servers = append(s.servers, storagetest.StartInstance(t).Server)
	}
	taken := make(map[int]bool)
	add := func(from, to int, server *storagetest.Server) {
		if from <= to {
			s.slots = append(s.slots, redis.ClusterSlot{Start: from, End: to, Nodes: []redis.ClusterNode{{Addr: server.Addr}}})
		}
	}
	for i, key := range keys {
		n := slot(key)
		if taken[n] {
			t.Fatalf("%q is in a slot with another key", key)
		}
		taken[n] = true
		add(n, n, s.servers[i])
	}
	from := 0
	for n := range 1 << 14 {
		if taken[n] {
			add(from, n-1, s.servers[len(keys)])
			from = n + 1
		}
	}
	add(from, 1<<14-1, s.servers[len(keys)])
	return s
}

// store returns a store that waits a second for a silent server, once for each operation.
func (s *shards) store(t *testing.T, clientCache, outage time.Duration) *storage.Store {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{s.servers[0].Addr}, ContextTimeoutEnabled: true, DisableIdentity: true, MaxRedirects: -1,
		DialTimeout: time.Second, ReadTimeout: time.Second, PoolTimeout: time.Second, DialerRetries: 1,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return s.slots, nil },
	})
	t.Cleanup(func() { _ = client.Close() })
	store, err := storage.New(client, storage.Options{
		Timeout: hang, ClientCache: clientCache, ShardOutage: outage,
		Password: policy.PasswordCosts{InsecureCheap: true, MemoryKiB: 64, Iterations: 1, Parallelism: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// slot is that of a key in a Redis Cluster: CRC16/XMODEM of the hash tag, or of the whole key without one.
func slot(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc & (1<<14 - 1))
}
