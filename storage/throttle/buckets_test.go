package throttle

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// Nobody is refused for longer than the limits of now allow.
func TestWaitsFollowTheLimitsAndTheClockOfNow(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	for what, change := range map[string]func() Limits{
		"lower limits":   func() Limits { return Limits{PerUserNetwork: 2, Window: time.Minute} },
		"clock set back": func() Limits { r.Advance(-50 * time.Hour); return Limits{PerUserNetwork: 2, Window: time.Hour} },
	} {
		before := testThrottle(t, r, Limits{PerUserNetwork: 2, Window: time.Hour})
		attempt(t, before, what, "192.0.2.1", Failed)
		attempt(t, before, what, "192.0.2.1", Failed)
		limits := change()
		now := testThrottle(t, r, limits)
		wait := attempt(t, now, what, "192.0.2.1", Failed)
		mustWait(t, what, wait, limits.Window/2)
		r.Advance(wait)
		mustPass(t, what+", later", attempt(t, now, what, "192.0.2.1", Failed))
	}
}

// Attempts in flight end in any order, and leave what has failed.
func TestManyAttemptsEndInAnyOrder(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUserNetwork: 300, PerNetwork: 300, Window: 24 * time.Hour})
		all := make([]Attempt, 200)
		for i := range all {
			all[i], _ = reserve(t, th, "alice", "192.0.2.1")
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for i, a := range all {
			settle(t, th, a, []Result{Failed, Cancelled, Cancelled, Cancelled}[i%4])
			settle(t, th, a, Failed) // once more, as if the reply was lost
			if i%50 != 49 {
				continue
			}
			entries, err := th.List(t.Context())
			if err != nil || len(entries) != 3 {
				t.Fatalf("%+v, %v", entries, err)
			}
			for _, e := range entries {
				if flying, failed := 199-i, (i+4)/4; e.InFlight != flying || e.Failures != flying+failed {
					t.Errorf("%s: %d in flight and %d counted, want %d and %d", fmt.Sprint(e.Kind, e.Network), e.InFlight, e.Failures, flying, flying+failed)
				}
			}
		}
	})
}
