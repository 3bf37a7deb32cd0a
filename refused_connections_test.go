package opgrant_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Redis refuses new connections with an error, when all connections of the server are new: every operation is answered 503 with
// Retry-After, with the throttle and without, nothing is issued, and the process goes on and recovers. What is in memory is served.
func TestOperationsWhileRedisRefusesConnections(t *testing.T) {
	for name, fault := range storagetest.Refusals() {
		for _, throttled := range []string{"throttled", "not throttled"} {
			t.Run(name+", "+throttled, func(t *testing.T) {
				t.Parallel()
				proxy := storagetest.StartProxy(t, storagetest.StartMiniredis(t).Addr)
				_, site := start(t, func(c *opgrant.Config) {
					rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{proxy.Addr}})
					t.Cleanup(func() { _ = rdb.Close() })
					c.Redis = rdb
					c.Storage.Timeout, c.Storage.CredentialCache = 3*time.Second, 0
					if throttled != "throttled" {
						c.Storage.Throttle.Disabled = true
					}
				})
				operation, refresh := loginAlice(t, site)
				proxy.Set(fault)
				proxy.CutAll()
				for range 2 { // the second time the circuit breaker may be open
					for _, o := range []struct{ authorization, body string }{
						{"", `{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`},
						{"", `{"operation":"create_authentication_tokens","username":"alice","password":"wrong"}`},
						{"", `{"operation":"create_authentication_tokens","username":"nobody","password":"x"}`},
						{admin, `{"operation":"create_authentication_tokens","username":"alice"}`},
						{"", `{"operation":"refresh_operation_token","refresh_token":"` + refresh + `"}`},
						{"Bearer " + refresh, `{"operation":"refresh_operation_token"}`},
						{admin, `{"operation":"user_info"}`},
						{"Bearer " + operation, `{"operation":"user_info"}`},
						{admin, `{"operation":"add_user","username":"bob","password":"bobpw","role":"staff","active":true}`},
						{admin, `{"operation":"alter_user","username":"alice","password":"other"}`},
						{admin, `{"operation":"drop_user","username":"alice"}`},
						{admin, `{"operation":"list_users"}`},
						{admin, `{"operation":"add_role","role":"other","permission":{"super_user":false}}`},
						{admin, `{"operation":"alter_role","id":"staff","permission":{"super_user":true}}`},
						{admin, `{"operation":"drop_role","id":"staff"}`},
						{admin, `{"operation":"list_roles"}`},
					} {
						wantOperation503(t, site, o.authorization, o.body)
					}
				}
				if proxy.Refused() == 0 {
					t.Fatal("no connection was refused: the test shows nothing")
				}
				for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
					resp, err := site.Client().Get(site.URL + path)
					if err != nil || resp.StatusCode != http.StatusOK {
						t.Fatalf("%s: %v, %v", path, resp, err)
					}
					_ = resp.Body.Close()
				}
				proxy.Set(storagetest.Faults{})
				proxy.CutAll()
				status, end := 0, time.Now().Add(30*time.Second)
				for status != http.StatusOK && time.Now().Before(end) {
					status, _ = operate(t, site, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`)
					time.Sleep(20 * time.Millisecond)
				}
				if status != http.StatusOK {
					t.Errorf("a refresh after the outage: %d", status)
				}
				if status, _ := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`); status != http.StatusOK {
					t.Errorf("a login after the outage: %d; it changed something", status)
				}
			})
		}
	}
}

func wantOperation503(t *testing.T, site *httptest.Server, authorization, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := site.Client().Do(r)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d, Retry-After %q, want 503", body, resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}
