package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// The store rotates the token, but its reply is lost. The client retries after the grace, which is zero here: it must get the
// tokens that are in the store, and the retry must not count as reuse.
func TestRetryAfterAnOutageIsNotReuse(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		proxy := storagetest.StartProxy(t, r.Addr)
		rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{proxy.Addr}})
		t.Cleanup(func() { _ = rdb.Close() })
		ts := newTestServerWithTimeout(t, rdb, outageTimeout())
		token := ts.login("strict").text("refresh_token")

		proxy.Set(storagetest.Faults{CutAfter: 1, Match: func(words []string) bool { return strings.EqualFold(words[0], "evalsha") }})
		lost := ts.refresh("strict", token)
		if lost.status != http.StatusServiceUnavailable || lost.header.Get("Retry-After") == "" {
			t.Fatalf("while replies are lost: %d %s", lost.status, lost.raw)
		}
		if _, after := proxy.Cuts(); after == 0 {
			t.Fatal("no connection was cut, so the test shows nothing")
		}
		proxy.Set(storagetest.Faults{})
		again := ts.refresh("strict", token)
		for again.status == http.StatusServiceUnavailable { // the circuit breaker closes again within half a second
			again = ts.refresh("strict", token)
		}
		if again.status != http.StatusOK {
			t.Fatalf("retry: %d %s", again.status, again.raw)
		}
		next := ts.refresh("strict", again.text("refresh_token"))
		if next.status != http.StatusOK {
			t.Fatalf("the issued tokens are not those in the store: %d %s", next.status, next.raw)
		}
		ts.want("the first token once more, which is reuse", ts.refresh("strict", token), 400, "invalid_grant")
		ts.want("its session", ts.refresh("strict", next.text("refresh_token")), 400, "invalid_grant")
	})
}
