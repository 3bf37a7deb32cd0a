package throttle

import (
	"fmt"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/fingerprint"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func wrong(t *testing.T, th *Throttle, client, secret, address string) {
	t.Helper()
	if err := th.WrongSecret(t.Context(), client, secret, address); err != nil {
		t.Fatal(err)
	}
}

func TestWrongSecretsAreCountedByClientAndNetwork(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	th := testThrottle(t, r, Limits{PerClient: 5, Window: time.Minute})
	clock := time.Now()
	th.secrets.now = func() time.Time { return clock }
	for i := range 5 {
		mustPass(t, fmt.Sprint("secret ", i), th.SecretRefused("web", "192.0.2.1"))
		wrong(t, th, "web", fmt.Sprint(i), "192.0.2.1")
	}
	wait := th.SecretRefused("web", "192.0.2.200")
	mustWait(t, "the sixth", wait, 12*time.Second)
	mustPass(t, "another network", th.SecretRefused("web", "198.51.100.1"))
	mustPass(t, "another client", th.SecretRefused("app", "192.0.2.1"))
	wrong(t, th, "made up", "0", "192.0.2.1")
	if ttl := th.db.Client.PTTL(t.Context(), th.keys(th.clientCounter("made up", ""))[0]).Val(); ttl <= 0 || ttl > 15*time.Second {
		t.Errorf("one wrong secret is held for %v", ttl)
	}

	// Another replica learns it with the first wrong secret.
	other := testThrottle(t, r, Limits{PerClient: 5, Window: time.Minute})
	mustPass(t, "another replica", other.SecretRefused("web", "192.0.2.1"))
	wrong(t, other, "web", "x", "192.0.2.1")
	mustWait(t, "another replica", other.SecretRefused("web", "192.0.2.1"), 12*time.Second)

	clock = clock.Add(wait)
	r.Advance(wait)
	mustPass(t, "after the wait", th.SecretRefused("web", "192.0.2.1"))
	if s := th.Stats(); s.WrongSecrets != 6 || s.RefusedSecrets != 1 {
		t.Errorf("%+v", s)
	}
}

// A worker that repeats one wrong secret does not guess.
func TestTheSameWrongSecretCountsOnce(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		var trips storagetest.Trips
		rdb.AddHook(&trips)
		th := throttleOn(t, rdb, Limits{PerClient: 5})
		wrong(t, th, "web", "mistake", "192.0.2.1")
		trips.Take()
		for range 3000 {
			mustPass(t, "the same secret", th.SecretRefused("web", "192.0.2.1"))
			wrong(t, th, "web", "mistake", "192.0.2.1")
		}
		if n, _ := trips.Take(); n != 0 {
			t.Errorf("%d round trips", n)
		}
		entries, err := th.List(t.Context())
		if err != nil || len(entries) != 1 || entries[0].Failures != 1 || entries[0].Kind != "client" {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

func TestWrongSecretsAreForgottenInMemory(t *testing.T) {
	th := testThrottle(t, storagetest.StartMiniredis(t), Limits{})
	now := time.Now()
	for i := range 2 * fingerprint.MaxMemory {
		th.secrets.counted.Remember(th.secrets.key.Of(fmt.Sprint(i)), now.Add(time.Minute), now)
	}
	if n := len(th.secrets.counted); n > fingerprint.MaxMemory {
		t.Errorf("%d are remembered", n)
	}
	if th.secrets.key.Of("a", "bc") == th.secrets.key.Of("ab", "c") {
		t.Error("parts run together")
	}
}
