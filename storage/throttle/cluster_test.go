package throttle

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// On a Redis Cluster the counters of users, networks and clients are on different nodes, each with its own script.
func TestThrottleOnCluster(t *testing.T) {
	t.Parallel()
	rdb := storagetest.StartCluster(t, storagetest.Options{}).Client(t, nil)
	var trips storagetest.Trips
	rdb.AddHook(&trips)
	db, err := redisdb.New(redisdb.Config{Client: rdb, Prefix: "opgrant:", Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	th := New(db, Limits{PerUserNetwork: 5, PerNetwork: 200, PerClient: 3, Window: time.Hour})
	for i := range 20 {
		user, address := fmt.Sprint("user", i), fmt.Sprintf("10.0.%d.1", i)
		mustPass(t, "first login", attempt(t, th, user, address, Succeeded)) // loads the scripts where they are not yet
		trips.Take()
		mustPass(t, "second login", attempt(t, th, user, address, Succeeded))
		if n, commands := trips.Take(); n != 2 {
			t.Errorf("%d round trips: %v", n, commands)
		}
		var all sync.WaitGroup
		var mutex sync.Mutex
		made := 0
		for range 15 {
			all.Go(func() {
				if attempt(t, th, user, address, Failed) == 0 {
					mutex.Lock()
					made++
					mutex.Unlock()
				}
			})
		}
		all.Wait()
		if made != 5 {
			t.Errorf("%s: %d of 15 attempts were made, want 5", user, made)
		}
		for j := range 3 {
			wrong(t, th, fmt.Sprint("client", i), fmt.Sprint(j), address)
		}
		if th.SecretRefused(fmt.Sprint("client", i), address) == 0 {
			t.Errorf("client%d is not refused", i)
		}
	}
	list, err := th.List(t.Context())
	if err != nil || len(list) != 40 { // each user from its network, where it is known, and each client
		t.Errorf("%d entries, %v", len(list), err)
	}
	if n, err := th.ClearUser(t.Context(), "user7", true); n != 1 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	if of, known, err := th.ListUser(t.Context(), "user7"); len(of)+len(known) != 0 || err != nil {
		t.Errorf("left: %v, %v, %v", of, known, err)
	}
}
