package authserver_test

import (
	"net/http"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// A refresh token that was used is known as used however many refreshes ago that was, and ends its session. The session does not
// grow meanwhile.
func TestUsedTokensAreNeverForgotten(t *testing.T) {
	ts := onFake(t)
	opaque := ts.addClient(storage.Client{
		ID: "opaque", Grants: []string{"password", "refresh_token"}, Refresh: policy.RefreshStrict, Algorithm: policy.EdDSA,
	}).header()
	for name, row := range map[string]struct {
		client    string
		rotations int
	}{
		"opaque": {opaque, 1000},
		"JWT":    {ts.rotating(), 300},
	} {
		first := ts.form("/oauth2/token", row.client, passwordGrant()...)
		size := 0
		newest := first
		for i := range row.rotations {
			if newest = ts.form("/oauth2/token", row.client, refreshGrant(newest.text("refresh_token"))...); newest.status != http.StatusOK {
				t.Fatalf("%s: refresh %d: %d %s", name, i, newest.status, newest.raw)
			}
			if i == 0 {
				size = len(everything(t, ts.rdb))
			}
		}
		if after := len(everything(t, ts.rdb)); after > size+64 {
			t.Errorf("%s: %d refreshes added %d bytes", name, row.rotations, after-size)
		}
		ts.want(name+": the first token", ts.form("/oauth2/token", row.client, refreshGrant(first.text("refresh_token"))...), 400, "invalid_grant")
		ts.want(name+": the newest, after reuse", ts.form("/oauth2/token", row.client, refreshGrant(newest.text("refresh_token"))...), 400, "invalid_grant")
		if ts.active(newest.text("access_token")) || ts.active(first.text("access_token")) {
			t.Errorf("%s: an access token outlives the reuse", name)
		}
	}
}

// Whoever presents a used token must be its client before that ends the session, however old the token is.
func TestOldUsedTokensOfAnotherClientEndNothing(t *testing.T) {
	ts := onFake(t)
	first := ts.login("strict").text("refresh_token")
	newest := first
	for range 5 {
		newest = ts.refresh("strict", newest).text("refresh_token")
	}
	ts.want("another client", ts.refresh("other", first), 400, "invalid_grant")
	r := ts.refresh("strict", newest)
	if r.status != http.StatusOK {
		t.Fatalf("the session has ended: %d %s", r.status, r.raw)
	}
	ts.want("its own client", ts.refresh("strict", first), 400, "invalid_grant")
	ts.want("its session", ts.refresh("strict", r.text("refresh_token")), 400, "invalid_grant")
}

// A genuine number below that of the record says that a token was used, even if the store has no other trace of it.
func TestALowerNumberAloneMeansUsed(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for name, row := range map[string]struct {
			number uint32
			ends   bool
		}{"lower": {2, true}, "the same": {4, false}, "higher": {5, false}} {
			token := ts.login("strict").text("refresh_token")
			for range 3 {
				token = ts.refresh("strict", token).text("refresh_token")
			}
			id, _, number, err := ts.store.ParseRefreshToken(t.Context(), token)
			check(t, err)
			if number != 4 {
				t.Fatalf("number %d", number)
			}
			genuine, _, err := ts.store.NewRefreshToken(t.Context(), id, row.number)
			check(t, err)
			ts.want(name, ts.refresh("strict", genuine), 400, "invalid_grant")
			if r := ts.refresh("strict", token); (r.status != http.StatusOK) != row.ends {
				t.Errorf("%s: the newest token: %d %s", name, r.status, r.raw)
			}
		}
	})
}
