package authserver_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// TestRefusalsTakeTheSameTime measures three kinds of refusal at real password costs, one after the other in turn. An attacker
// would compare them to that of an unknown user, which is the first.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	if os.Getenv("OPGRANT_TEST_FAULTS") == "" {
		t.Skip("measures time: set OPGRANT_TEST_FAULTS=short or full")
	}
	rdb := storagetest.StartMiniredis(t).Client(t)
	ts := newTestServer(t, rdb)
	store, err := storage.New(rdb, storage.Options{ClientCache: time.Hour}) // hashes as in production
	check(t, err)
	ts.store = store
	ts.addUser("known", "right", true)
	ts.addUser("gone", "right", false)
	ts.start(nil)
	const rounds = 21
	names := [3]string{"nobody", "known", "gone"}
	for attempt := 1; ; attempt++ { // another process may have taken the core, but not every time
		var took [3][]time.Duration
		for range rounds {
			for i, name := range names {
				start := time.Now()
				ts.want(name, ts.try("app", name, "wrong"), 400, "invalid_grant")
				took[i] = append(took[i], time.Since(start))
			}
		}
		worst := 0.0
		for i := range took {
			slices.Sort(took[i])
			if d := float64(took[i][rounds/2])/float64(took[0][rounds/2]) - 1; d*d > worst*worst {
				worst = d
			}
		}
		t.Logf("medians %v %v %v, worst difference %.1f%%", took[0][rounds/2], took[1][rounds/2], took[2][rounds/2], 100*worst)
		if worst < 0.05 && worst > -0.05 {
			return
		}
		if attempt == 6 {
			t.Fatalf("refusals differ by %.1f%%, six times", 100*worst)
		}
	}
}
