package storage_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A hundred callers refresh one token at once, over three servers on one Redis. Within a grace they all hold the same
// pair; without one exactly one does.
func TestRaceForOneToken(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{})
	for name, grace := range map[string]time.Duration{"strict": 0, "grace": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			raceForOneToken(t, standalone(t, srv.Addr), grace, scale(20, 100, 1000), 100)
		})
	}
}

func raceForOneToken(t *testing.T, client func() redis.UniversalClient, grace time.Duration, rounds, callers int) {
	t.Helper()
	ctx := context.Background()
	var stores []*storage.Store
	for range 3 {
		stores = append(stores, newStore(t, client(), storage.Options{Timeout: 10 * time.Second}))
	}
	g := storage.Duration(grace)
	c := &storage.Client{ID: "race", Public: true, Grants: []string{"password"}, Grace: &g}
	if err := stores[0].PutClient(ctx, c); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		id := storage.NewSessionID("alice")
		sig := func(name string) string { return storage.Signature(id, name) }
		req := sessionRequest(id, "alice", c, time.Hour, time.Hour)
		if err := login(ctx, stores[0], sig("a"), sig("r"), req); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		wins, pairs := 0, map[string]int{}
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range callers {
			all.Go(func() {
				<-start
				mine := fmt.Sprint("r", i)
				answer, err := stores[i%3].RefreshSession(ctx, sig("r"), sig(fmt.Sprint("a", i)), sig(mine), []byte(mine), req)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && answer == nil:
					wins++
					pairs[mine]++
				case err == nil:
					pairs[string(answer)]++
				case grace > 0 || !errors.Is(err, fosite.ErrInactiveToken) && !errors.Is(err, fosite.ErrNotFound):
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		close(start)
		all.Wait()
		holders := 0
		for _, n := range pairs {
			holders += n
		}
		if wins != 1 || len(pairs) != 1 || grace > 0 && holders != callers || grace == 0 && holders != 1 {
			t.Fatalf("%d rotations, %d different pairs, %d of %d callers hold one", wins, len(pairs), holders, callers)
		}
	}
	t.Logf("%d rounds of %d callers: one rotation and one pair each", rounds, callers)
}
