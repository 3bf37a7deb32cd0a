package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

const listedOrigin = "https://app.example"

func newRegistry(t *testing.T, rdb redis.UniversalClient, cache time.Duration) *Clients {
	t.Helper()
	c, err := NewClients(rdb, Options{ClientCache: cache, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func putClient(t *testing.T, c *Clients, id string, origins ...string) {
	t.Helper()
	if err := c.PutClient(t.Context(), &Client{ID: id, Public: true, Grants: []string{"password"}, Origins: origins}); err != nil {
		t.Fatal(err)
	}
}

func wantClients(t *testing.T, c *Clients, when, origin string, want ...string) {
	t.Helper()
	got, err := c.OriginClients(t.Context(), origin)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: %q, %v, want %q", when, got, err, want)
	}
}

// What this process changes shows at once, and what another one changes after the time of the cache.
func TestOriginClients(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		c, other := newRegistry(t, rdb, time.Hour), newRegistry(t, rdb, -1)
		wantClients(t, c, "no clients", listedOrigin)
		for i := range recordsAtOnce + 5 {
			putClient(t, c, fmt.Sprintf("without-%03d", i))
		}
		putClient(t, c, "b", "https://other.example", listedOrigin)
		putClient(t, c, "a", listedOrigin)
		wantClients(t, c, "added", listedOrigin, "a", "b")
		putClient(t, c, "a")
		wantClients(t, c, "no longer in a list", listedOrigin, "b")
		putClient(t, other, "a", listedOrigin)
		wantClients(t, c, "by another process", listedOrigin, "b")
		wantClients(t, newRegistry(t, rdb, time.Hour), "a new process", listedOrigin, "a", "b")
		wantClients(t, other, "no cache", listedOrigin, "a", "b")

		// What a crash of PutClient or of RemoveClient leaves, and a record of a later build.
		if err := errors.Join(
			rdb.SAdd(t.Context(), c.db.Keys.Clients(), "nobody").Err(),
			rdb.Set(t.Context(), c.db.Keys.Client("b"), "{", 0).Err(),
		); err != nil {
			t.Fatal(err)
		}
		wantClients(t, other, "a record that cannot be read", listedOrigin, "a")
		if err := c.RemoveClient(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		wantClients(t, c, "removed", listedOrigin)
	})
}

// However many ask, for whatever origin, the clients are read once.
func TestOriginsAreReadOnceForAll(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		putClient(t, newRegistry(t, rdb, -1), "a", listedOrigin)
		c := newRegistry(t, rdb, time.Hour)
		var trips storagetest.Trips
		rdb.AddHook(&trips)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				wantClients(t, c, "at once", listedOrigin, "a")
				wantClients(t, c, "not in a list", fmt.Sprintf("https://%d.example", i))
			})
		}
		all.Wait()
		_, commands := trips.Take()
		commands = slices.DeleteFunc(commands, func(name string) bool { return strings.HasPrefix(name, "hello") || strings.HasPrefix(name, "client") })
		if !slices.Equal(commands, []string{"smembers", "get", "get+get"}) { // the IDs, the records, the epoch
			t.Errorf("round trips %q", commands)
		}
	})
}

// Without Redis, or with another store in it, what was known before is right for those in it, and for others nothing is known.
func TestOriginsWithoutTheStore(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, ctx := r.Client(t), t.Context()
		c := newRegistry(t, rdb, -1)
		putClient(t, c, "a", listedOrigin)
		wantClients(t, c, "before", listedOrigin, "a")
		unknown := func(when string, c *Clients, origin string) {
			t.Helper()
			if got, err := c.OriginClients(ctx, origin); !errors.Is(err, fosite.ErrTemporarilyUnavailable) || len(got) > 0 {
				t.Errorf("%s: %q, %v, want unavailable", when, got, err)
			}
		}
		if err := rdb.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		wantClients(t, c, "emptied", listedOrigin, "a")
		unknown("emptied", c, "https://other.example")

		canceled, cancel := context.WithCancel(ctx)
		cancel()
		fresh := newRegistry(t, rdb, -1)
		if _, err := fresh.OriginClients(canceled, listedOrigin); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("a caller that has gone: %v", err)
		}
	})
}

// The records of the clients are in all slots of a Cluster.
func TestOriginsOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	rdb := storagetest.StartCluster(t, storagetest.Options{}).Client(t, nil)
	c := newRegistry(t, rdb, time.Hour)
	for i := range 3 * recordsAtOnce / 2 {
		putClient(t, c, fmt.Sprintf("client-%03d", i), listedOrigin)
	}
	got, err := c.OriginClients(t.Context(), listedOrigin)
	if err != nil || len(got) != 3*recordsAtOnce/2 || !slices.IsSorted(got) {
		t.Errorf("%d clients, %v", len(got), err)
	}
	list, err := c.ListClients(t.Context())
	if err != nil || len(list) != len(got) {
		t.Errorf("%d clients, %v", len(list), err)
	}
}
