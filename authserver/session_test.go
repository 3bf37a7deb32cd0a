package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func TestSessionsEndHoweverOftenTheyAreRefreshed(t *testing.T) {
	w := newWorld(t, storagetest.StartMiniredis(t).Client(t))
	check(t, w.store.PutClient(t.Context(), &storage.Client{
		ID: "ending", Public: true, Grants: []string{"password", "refresh_token"}, MaxSessionTTL: storage.Duration(2 * time.Second),
	}))
	const form = "grant_type=refresh_token&client_id=ending&refresh_token="
	r := w.raw(http.MethodPost, "/oauth2/token", loginBody+"&client_id=ending")
	access := r.text("access_token")
	end := time.Now().Add(3 * time.Second)
	for time.Now().Before(end.Add(-2 * time.Second)) {
		r = w.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token"))
		if r.status != 200 {
			t.Fatalf("refresh: %d %s", r.status, r.raw)
		}
		access = r.text("access_token")
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(time.Until(end))
	w.want("past the session's life", w.raw(http.MethodPost, "/oauth2/token", form+r.text("refresh_token")), 400, "invalid_grant")
	if w.active(access) {
		t.Error("an access token outlives the session")
	}
}
