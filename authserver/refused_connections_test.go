package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// Redis refuses new connections with an error, when all connections of the server are new: whatever the error is, with the
// throttle and without, every request is answered 503, no token is issued, and the process goes on and recovers.
func TestRefusedConnectionsAre503(t *testing.T) {
	for name, fault := range storagetest.Refusals() {
		for _, throttled := range []string{"throttled", "not throttled"} {
			t.Run(name+", "+throttled, func(t *testing.T) {
				t.Parallel()
				proxy := storagetest.StartProxy(t, storagetest.StartMiniredis(t).Addr)
				rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{proxy.Addr}})
				t.Cleanup(func() { _ = rdb.Close() })
				ts := newTestServerWithTimeout(t, rdb, outageTimeout())
				if throttled == "throttled" {
					ts.start(func(c *authserver.Config) { c.SecretThrottle = ts.store.Users.Throttle() })
				} else {
					store, err := storage.New(rdb, storage.Options{
						Password: cheapPasswords, ClientCache: -1, Timeout: outageTimeout(), Throttle: throttle.Limits{Disabled: true},
					})
					check(t, err)
					ts.store, ts.keys = store, openKeys(t, store.Keys, time.Millisecond)
					ts.start(nil)
				}
				sign := newClientWithKey(t, ts, "robot")
				web, legacy := ts.login("web"), ts.login("old")
				list := append(requestsOfEachKind(ts, web, legacy),
					request{"JWT bearer", func() reply {
						return ts.post("/oauth2/token", "", "grant_type", jwtBearerGrant, "assertion", sign(nil))
					}},
					request{"private_key_jwt", func() reply {
						return ts.post("/oauth2/token", "", "grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", sign(nil))
					}},
				)

				proxy.Set(fault)
				proxy.CutAll()
				for range 2 { // the second time the circuit breaker may be open
					sendAll(t, list)
				}
				if proxy.Refused() == 0 {
					t.Fatal("no connection was refused: the test shows nothing")
				}
				proxy.Set(storagetest.Faults{})
				proxy.CutAll()
				for end := time.Now().Add(hang); ts.post("/oauth2/token", "web", "grant_type", "client_credentials").status != http.StatusOK; {
					if time.Now().After(end) {
						t.Fatal("no recovery")
					}
					time.Sleep(20 * time.Millisecond)
				}
				if r := ts.refresh("old", legacy.text("refresh_token")); r.status != http.StatusOK {
					t.Errorf("legacy refresh after the outage: %d %s", r.status, r.raw)
				}
			})
		}
	}
}
