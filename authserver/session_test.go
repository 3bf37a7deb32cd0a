package authserver_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestSessionsEndHoweverOftenTheyAreRefreshed(t *testing.T) {
	instance := storagetest.StartMiniredis(t)
	w := newWorld(t, instance.Client(t))
	var clock atomic.Int64 // how far the clocks of the server and of miniredis are moved
	w.start(func(c *authserver.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }
	})
	pass := func(d time.Duration) {
		clock.Add(int64(d))
		instance.Advance(d)
	}
	check(t, w.store.PutClient(t.Context(), &storage.Client{
		ID: "ending", Public: true, Grants: []string{"password", "refresh_token"}, MaxSessionTTL: storage.Duration(time.Hour),
	}))
	const form = "grant_type=refresh_token&client_id=ending&refresh_token="
	r := w.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=ending")
	for range 5 {
		pass(10 * time.Minute)
		r = w.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token"))
		if r.status != 200 {
			t.Fatalf("refresh: %d %s", r.status, r.raw)
		}
	}
	access := r.text("access_token")
	if !w.active(access) {
		t.Error("an access token is not active before the session ends")
	}
	pass(11 * time.Minute)
	w.want("after the session's end", w.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token")), 400, "invalid_grant")
	if w.active(access) {
		t.Error("an access token is active after the session's end")
	}
}
