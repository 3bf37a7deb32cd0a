package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestSessionsEndDespiteRefreshes(t *testing.T) {
	t.Parallel()
	redis := storagetest.StartMiniredis(t)
	ts := newTestServer(t, redis.Client(t))
	var c clock
	ts.start(func(config *authserver.Config) { config.Now = c.now })
	advance := func(d time.Duration) {
		c.advance(d)
		redis.Advance(d)
	}
	check(t, ts.store.PutClient(t.Context(), &storage.Client{
		ID: "ending", Public: true, Grants: []string{"password", "refresh_token"}, MaxSessionTTL: storage.Duration(time.Hour),
	}))
	const form = "grant_type=refresh_token&client_id=ending&refresh_token="
	r := ts.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=ending")
	access := r.text("access_token")
	for range 5 {
		advance(10 * time.Minute)
		r = ts.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token"))
		if r.status != 200 {
			t.Fatalf("refresh: %d %s", r.status, r.raw)
		}
		access = r.text("access_token")
	}
	if !ts.active(access) {
		t.Error("the access token of the last refresh is not active")
	}
	advance(15 * time.Minute)
	ts.want("after the end of the session", ts.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token")), 400, "invalid_grant")
	if ts.active(access) {
		t.Error("an access token outlives the session")
	}
}
