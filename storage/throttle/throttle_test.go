package throttle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestThrottleCountsFailures(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUserNetwork: 3, Window: time.Minute})
		for _, user := range []string{"alice", "nobody"} {
			for i := range 3 {
				mustPass(t, fmt.Sprintf("%s, attempt %d", user, i), attempt(t, th, user, fmt.Sprintf("192.0.2.%d", i), Failed))
			}
			mustWait(t, user+" after three failures", attempt(t, th, user, "192.0.2.9", Failed), 20*time.Second)
			mustPass(t, user+" from another network", attempt(t, th, user, "198.51.100.1", Failed))
		}
		mustPass(t, "another user", attempt(t, th, "carol", "192.0.2.1", Failed))
	})
}

// Only results count: what succeeds or is cancelled leaves nothing behind, however often it happens.
func TestOnlyFailuresCount(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUserNetwork: 2, PerUser: 2, PerNetwork: 2, Window: time.Hour})
		for i, result := range []Result{Succeeded, Cancelled} {
			user := fmt.Sprint("user", i)
			for n := range 20 {
				mustPass(t, fmt.Sprintf("%s %d", result, n), attempt(t, th, user, "192.0.2.1", result))
				mustPass(t, fmt.Sprintf("%s %d, without an address", result, n), attempt(t, th, user, "", result))
			}
		}
	})
}

func TestThrottleLetsPassAgainAfterAWhile(t *testing.T) {
	r := storagetest.StartMiniredis(t) // its clock can be moved
	th := testThrottle(t, r, Limits{PerUserNetwork: 2, Window: time.Hour})
	attempt(t, th, "alice", "192.0.2.1", Failed)
	attempt(t, th, "alice", "192.0.2.1", Failed)
	wait := attempt(t, th, "alice", "192.0.2.1", Failed)
	mustWait(t, "after two failures", wait, 30*time.Minute)
	r.Advance(wait + time.Second)
	mustPass(t, "after waiting", attempt(t, th, "alice", "192.0.2.1", Failed))
	if attempt(t, th, "alice", "192.0.2.1", Failed) == 0 {
		t.Error("one wait lets two pass")
	}
}

func TestThrottleCountsNetworks(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUserNetwork: 2, PerNetwork: 4, Window: time.Hour})
		for i := range 4 {
			mustPass(t, fmt.Sprint("attempt ", i), attempt(t, th, fmt.Sprint("user", i), "2001:db8::1", Failed))
		}
		for _, same := range []string{"2001:db8::1", "2001:db8::ffff:1", "2001:db8::1%eth0"} {
			if attempt(t, th, "victim", same, Failed) == 0 {
				t.Errorf("%s: not the same network", same)
			}
		}
		// The network was refused: the user must not be locked out by it.
		if entries, _, err := th.ListUser(t.Context(), "victim"); len(entries) != 0 || err != nil {
			t.Errorf("the victim pays: %+v, %v", entries, err)
		}
		for range 2 {
			mustPass(t, "the victim pays", attempt(t, th, "victim", "2001:db8:1::1", Failed))
		}
		// The user was refused: the network must not be locked out by that.
		attempt(t, th, "victim", "203.0.113.7", Failed)
		attempt(t, th, "victim", "203.0.113.8", Failed)
		for range 10 {
			if attempt(t, th, "victim", "203.0.113.9", Failed) == 0 {
				t.Fatal("the victim is not throttled")
			}
		}
		entries, err := th.List(t.Context())
		if err != nil || !slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == "203.0.113.0/24" && e.Failures == 2 }) {
			t.Errorf("the network pays: %+v, %v", entries, err)
		}
		mustPass(t, "the network pays", attempt(t, th, "other", "::ffff:203.0.113.7", Failed))
	})
}

func TestNetworksOfOtherSizes(t *testing.T) {
	l := Limits{IPv4Prefix: 16, IPv6Prefix: 48}
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.0.0/16", "::ffff:192.0.2.1": "192.0.0.0/16", "2001:db8:1:2::3": "2001:db8:1::/48", "": "", "@": "@",
		strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		if got := l.Network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := (Limits{}).Network("192.0.2.1"); got != "192.0.2.0/24" {
		t.Errorf("by default %s", got)
	}
	if got := (Limits{}).Network("2001:db8:1:2:3::1"); got != "2001:db8:1:2::/64" {
		t.Errorf("by default %s", got)
	}
}

// A success of the owner forgives what failed from the same network, and nothing else.
func TestSuccessForgivesOneNetworkAlone(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUserNetwork: 3, PerUser: 8, Window: time.Hour})
		guesses := 0
		for i := range 20 {
			mustPass(t, "the owner", attempt(t, th, "alice", "192.0.2.1", Failed))
			mustPass(t, "the owner", attempt(t, th, "alice", "192.0.2.1", Failed))
			mustPass(t, "the owner", attempt(t, th, "alice", "192.0.2.1", Succeeded))
			for network := range 2 {
				if attempt(t, th, "alice", fmt.Sprintf("198.51.%d.%d", network, i), Failed) == 0 {
					guesses++
				}
			}
		}
		// Two failures of the owner came before the network was known.
		if guesses != 6 {
			t.Errorf("%d guesses among the owner's logins, want 6: 3 from each network", guesses)
		}
		for network := range 10 {
			attempt(t, th, "alice", fmt.Sprintf("203.0.%d.1", network), Failed)
		}
		if attempt(t, th, "alice", "203.0.200.1", Failed) == 0 {
			t.Error("a success has forgiven what failed from networks that the user has not logged in from")
		}
		mustPass(t, "the owner", attempt(t, th, "alice", "192.0.2.1", Succeeded))
	})
}

// Logging in as oneself does not wipe out what a network tried with others, nor does it use the network up.
func TestSuccessForgivesTheNetworkOneAttemptOnly(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerNetwork: 5, Window: time.Hour})
		for i := range 40 {
			mustPass(t, fmt.Sprint("good login ", i), attempt(t, th, fmt.Sprint("own", i), "192.0.2.1", Succeeded))
		}
		guesses := 0
		for i := range 20 {
			if attempt(t, th, fmt.Sprint("victim", i), "192.0.2.1", Failed) != 0 {
				break
			}
			guesses++
			mustPass(t, "a user who is known in the network", attempt(t, th, "own1", "192.0.2.1", Succeeded))
		}
		if guesses != 5 {
			t.Errorf("%d guesses among good logins, want the limit of 5", guesses)
		}
		if attempt(t, th, "new", "192.0.2.1", Succeeded) == 0 {
			t.Error("a user who is new in the network is not refused")
		}
		mustPass(t, "a user who is known in the network", attempt(t, th, "own1", "192.0.2.1", Succeeded))
	})
}

// What others try from elsewhere never refuses a user from a network where the user has logged in before.
func TestKnownNetworksAreNotRefusedForOthers(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerUser: 50, PerNetwork: 1000})
		mustPass(t, "the first login", attempt(t, th, "alice", "192.0.2.1", Succeeded))
		made := 0
		for i := range 100 {
			if attempt(t, th, "alice", fmt.Sprintf("198.51.%d.1", i), Failed) == 0 {
				made++
			}
			mustPass(t, "the owner", attempt(t, th, "alice", "192.0.2.77", Succeeded))
		}
		if made != 50 {
			t.Errorf("%d guesses from other networks, want the limit of 50", made)
		}
		if attempt(t, th, "alice", "", Failed) == 0 {
			t.Error("without an address the limit does not hold")
		}
	})
}

// Users who are known in a network do not use it up for others.
func TestFailuresOfKnownUsersDoNotCountForTheNetwork(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th := testThrottle(t, r, Limits{PerNetwork: 2, Window: time.Hour})
		attempt(t, th, "alice", "192.0.2.1", Succeeded)
		for range 5 {
			mustPass(t, "a user who is known", attempt(t, th, "alice", "192.0.2.1", Failed))
		}
		mustPass(t, "another user", attempt(t, th, "bob", "192.0.2.1", Failed))
		mustPass(t, "another user", attempt(t, th, "bob", "192.0.2.1", Failed))
		if attempt(t, th, "bob", "192.0.2.1", Failed) == 0 {
			t.Error("a user who is not known is not counted")
		}
	})
}

// go-redis sends a command again when its reply was lost: that must not count twice.
func TestALostReplyCountsOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		rdb.AddHook(twice{})
		th := throttleOn(t, rdb, Limits{PerUserNetwork: 3, PerUser: 3, PerNetwork: 3, PerClient: 3, Window: time.Hour, UserWindow: time.Hour})
		var last Attempt
		for i := range 3 {
			a, wait := reserve(t, th, "alice", "192.0.2.1")
			mustPass(t, fmt.Sprint("attempt ", i), wait)
			if last = a; i < 2 {
				settle(t, th, a, Failed)
			}
		}
		settle(t, th, last, Cancelled)
		mustPass(t, "after a cancelled attempt", attempt(t, th, "alice", "192.0.2.1", Failed))
		if attempt(t, th, "alice", "192.0.2.1", Failed) == 0 {
			t.Error("one cancelled attempt lets two pass")
		}
		for i := range 3 {
			if wait := th.SecretRefused("web", "192.0.2.1"); wait != 0 {
				t.Errorf("secret %d waits %v", i, wait)
			}
			if err := th.WrongSecret(t.Context(), "web", fmt.Sprint(i), "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
		mustWait(t, "after three secrets", th.SecretRefused("web", "192.0.2.1"), 20*time.Minute)
	})
}

// Refused connections are an error like any other: with the library that this package used before, they ended the process.
func TestReserveWithoutRedisIsUnavailable(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	th := testThrottle(t, r, Limits{})
	a, _ := reserve(t, th, "alice", "192.0.2.1")
	r.Mini.Close()
	if _, err := th.Reserve(t.Context(), "alice", "192.0.2.1", nil); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
	if err := th.Settle(t.Context(), a, Failed); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("result without Redis: %v", err)
	}
}

// twice is a go-redis hook that sends every pipeline twice and returns the second reply.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}
