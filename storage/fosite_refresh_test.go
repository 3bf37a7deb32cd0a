package storage_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/opgrant/opgrant/storage"
)

// fosite refuses a used refresh token at once. With the policy "strict" its session ends too; with "grace", the default of clients
// of this store, it goes on, because within the grace that may be a client's retry.
func TestStockRefreshTokenTwice(t *testing.T) {
	stockServers(t, func(t *testing.T, s *stockServer) {
		for policy, goesOn := range map[string]bool{"strict": false, "": true} {
			client := *must(s.store.GetClient(t.Context(), "app")).(*storage.Client)
			client.Refresh = policy
			check(s.store.PutClient(t.Context(), &client))

			_, first := s.exchange(s.authorize(s.request("code", "openid offline")).Get("code"), "")
			again := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}}
			status, next := s.post("/token", stockSecret, again)
			if status != http.StatusOK || s.active(first["access_token"]) || !s.active(next["access_token"]) {
				t.Fatalf("%q: refresh: %d %v", policy, status, next)
			}
			if status, answer := s.post("/token", stockSecret, again); status == http.StatusOK {
				t.Errorf("%q: a used refresh token: %v", policy, answer)
			}
			if active := s.active(next["access_token"]); active != goesOn {
				t.Errorf("%q: after reuse the session goes on: %v", policy, active)
			}
		}
	})
}
