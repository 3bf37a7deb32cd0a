package authserver_test

import (
	"net/http"
	"sync"
	"testing"
)

func TestOneSessionPerUserEndsTheOlderRefreshTokenAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for _, client := range []string{"limited", "old-one"} {
			first, second := ts.login(client), ts.login(client)
			ts.want("older refresh token at "+client, ts.refresh(client, first.text("refresh_token")), 400, "invalid_grant")
			if !ts.active(first.text("access_token")) {
				t.Errorf("%s: the older access token ended", client)
			}
			if r := ts.refresh(client, second.text("refresh_token")); r.status != http.StatusOK {
				t.Errorf("%s: newest refresh token: %d %s", client, r.status, r.raw)
			}
		}
		if r := ts.refresh("limited", ts.login("limited").text("refresh_token")); r.status != 200 {
			t.Errorf("a login at one client disturbs another: %s", r.raw)
		}
	})
}

func TestParallelLoginsLeaveExactlyOneGoodRefreshToken(t *testing.T) {
	onRedisAlone(t, func(t *testing.T, ts *testServer) {
		tokens := make([]string, 40)
		var group sync.WaitGroup
		for i := range tokens {
			group.Go(func() { tokens[i] = ts.login("old-one").text("refresh_token") })
		}
		group.Wait()
		good := 0
		for _, token := range tokens {
			if ts.refresh("old-one", token).status == http.StatusOK {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%d refresh tokens are good, want 1", good)
		}
	})
}
