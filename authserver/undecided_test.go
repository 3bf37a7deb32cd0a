package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// The store rotates the token and no reply ever comes back. The client does as the 503 says and asks again, when the grace
// is long over (here there is none): it must get the pair that is in the store, and not lose its session as a thief would.
func TestAnOutageIsNotTakenForTheft(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		proxy := storagetest.StartProxy(t, r.Addr)
		rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{proxy.Addr}})
		t.Cleanup(func() { _ = rdb.Close() })
		w := newWorld(t, rdb)
		token := w.login("strict").text("refresh_token")

		proxy.Set(storagetest.Faults{CutAfter: 1, Match: func(words []string) bool { return strings.EqualFold(words[0], "evalsha") }})
		lost := w.refresh("strict", token)
		if lost.status != http.StatusServiceUnavailable || lost.header.Get("Retry-After") == "" {
			t.Fatalf("while replies are lost: %d %s", lost.status, lost.raw)
		}
		if _, after := proxy.Cuts(); after == 0 {
			t.Fatal("nothing was cut: the test shows nothing")
		}
		proxy.Set(storagetest.Faults{})
		again := w.refresh("strict", token)
		for again.status == http.StatusServiceUnavailable { // the circuit opens again within half a second
			again = w.refresh("strict", token)
		}
		if again.status != http.StatusOK {
			t.Fatalf("asked again: %d %s", again.status, again.raw)
		}
		next := w.refresh("strict", again.text("refresh_token"))
		if next.status != http.StatusOK {
			t.Fatalf("the pair that was given is not the one in the store: %d %s", next.status, next.raw)
		}
		w.want("the token once more, which is theft now", w.refresh("strict", token), 400, "invalid_grant")
		w.want("its session", w.refresh("strict", next.text("refresh_token")), 400, "invalid_grant")
	})
}
