package throttle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestThrottleKeysAreNamedByHashAndExpire(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th, ctx := testThrottle(t, r, Limits{}), t.Context()
		attempt(t, th, "alice", "192.0.2.1", Failed)
		reserve(t, th, "dave", "192.0.2.1")
		attempt(t, th, "bob", "192.0.2.2", Succeeded)
		attempt(t, th, "carol", "192.0.2.1", Cancelled)
		if err := th.WrongSecret(ctx, "web", "CANARY", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, key := range r.Keys(t) {
			if key == "opgrant:epoch:2" {
				continue
			}
			kind, tag, _ := strings.Cut(strings.TrimPrefix(key, "opgrant:"), ":")
			kinds[kind]++
			most := 3 * time.Minute
			if kind == "k" {
				most = knownTTL
			}
			if ttl, err := th.db.Client.PTTL(ctx, key).Result(); ttl <= 0 || ttl > most || err != nil {
				t.Errorf("%s expires in %v, %v", key, ttl, err)
			}
			if len(tag) != 24 || tag[0] != '{' || tag[23] != '}' {
				t.Errorf("key %q", key)
			}
			if dump, err := th.db.Client.Dump(ctx, key).Result(); err == nil && strings.Contains(dump, "CANARY") {
				t.Errorf("%s holds the secret", key)
			}
		}
		// Of bob, who has failed nothing, the network; nothing of carol; alice, dave, the network and the client.
		if kinds["f"] != 4 || kinds["k"] != 1 || len(kinds) != 2 {
			t.Errorf("keys: %v", kinds)
		}
	})
}

// The networks of a user and the networks that a user is known in are bounded, and what is left out is what matters least.
func TestFieldsAreBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		th, ctx := testThrottle(t, r, Limits{PerUser: -1, PerNetwork: -1}), t.Context()
		address := func(i int) string { return fmt.Sprintf("10.%d.%d.1", i/250, i%250) }
		for range 3 {
			attempt(t, th, "alice", "192.0.2.1", Failed)
		}
		for i := range 2 * maxNetworks {
			mustPass(t, "attempt", attempt(t, th, "alice", address(i), Failed))
		}
		if n := th.db.Client.HLen(ctx, th.db.Keys.Failures(th.userCounter("alice", "").tag)).Val(); n > maxNetworks+2 {
			t.Errorf("%d fields", n)
		}
		entries, _, err := th.ListUser(ctx, "alice")
		if err != nil || !slices.ContainsFunc(entries, func(e Entry) bool { return e.Network == "192.0.2.0/24" && e.Failures == 3 }) {
			t.Errorf("the fullest network was forgotten: %v", err)
		}
		for i := range 2 * maxKnown {
			mustPass(t, "login", attempt(t, th, "bob", address(i), Succeeded))
			if i%8 == 0 {
				mustPass(t, "login", attempt(t, th, "bob", "192.0.2.1", Succeeded)) // stays in use
			}
		}
		_, known, err := th.ListUser(ctx, "bob")
		if err != nil || len(known) != maxKnown || !slices.ContainsFunc(known, func(k Known) bool { return k.Network == "192.0.2.0/24" }) {
			t.Errorf("%d known networks, %v: %v", len(known), err, known)
		}
	})
}

// A known network is forgotten when it was not used for long.
func TestKnownNetworksAreForgotten(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	th := testThrottle(t, r, Limits{PerUser: 1})
	attempt(t, th, "alice", "192.0.2.1", Succeeded)
	attempt(t, th, "alice", "198.51.100.1", Failed)
	mustPass(t, "the known network", attempt(t, th, "alice", "192.0.2.1", Failed))
	r.Advance(knownTTL + time.Second)
	attempt(t, th, "alice", "198.51.100.1", Failed)
	if attempt(t, th, "alice", "192.0.2.1", Failed) == 0 {
		t.Error("the network is still known")
	}
}

// The keys of one script lie in one Redis Cluster slot.
func TestScriptsStayInOneSlot(t *testing.T) {
	th := testThrottle(t, storagetest.StartMiniredis(t), Limits{})
	for _, c := range []counter{th.userCounter("a{b}c", "192.0.2.0/24"), th.networkCounter("192.0.2.0/24"), th.clientCounter("web", "192.0.2.0/24")} {
		for _, call := range [][]string{th.reserveCall(c, "id", flightTime).Keys, th.settleCall(c, "id", Failed).Keys} {
			for _, key := range call {
				if _, rest, _ := strings.Cut(key, "{"); !strings.HasPrefix(rest, c.tag+"}") {
					t.Errorf("%q has another tag than %q", key, c.tag)
				}
			}
		}
	}
}
