package authserver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// withRefreshPolicy registers a confidential client with a refresh policy.
func (ts *testServer) withRefreshPolicy(refresh string) credential {
	ts.t.Helper()
	return ts.addClient(storage.Client{ID: "policy-" + refresh, Grants: []string{"password", "refresh_token"}, Refresh: refresh})
}

// What each refresh policy says of a refresh token that comes a second time. See policy.RefreshStrict and its neighbours for
// the text that each of them keeps to.
func TestASecondUseUnderEachRefreshPolicy(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		for _, refresh := range policy.RefreshPolicies() {
			client := ts.withRefreshPolicy(refresh).header()
			login := ts.form("/oauth2/token", client, passwordGrant()...)
			used := login.text("refresh_token")
			first := ts.form("/oauth2/token", client, refreshGrant(used)...)
			if first.status != 200 {
				t.Fatalf("%s: %s", refresh, first.raw)
			}
			next := first.text("refresh_token")
			if static := slices.Contains([]string{policy.RefreshFAPI2, policy.RefreshStatic}, refresh); static != (next == "") {
				t.Errorf("%s: new refresh token %q", refresh, next)
			}
			second := ts.form("/oauth2/token", client, refreshGrant(used)...)
			switch refresh {
			case policy.RefreshStrict:
				ts.want(refresh+": used token", second, 400, "invalid_grant")
				ts.want(refresh+": its successor", ts.form("/oauth2/token", client, refreshGrant(next)...), 400, "invalid_grant")
				if ts.active(first.text("access_token")) || ts.active(login.text("access_token")) {
					t.Errorf("%s: an access token outlives the reuse", refresh)
				}
			case policy.RefreshGrace, policy.RefreshRotate:
				if second.status != 200 || second.text("refresh_token") != next || second.text("access_token") != first.text("access_token") {
					t.Errorf("%s: not the same answer: %d %s", refresh, second.status, second.raw)
				}
			default:
				if second.status != 200 || second.text("access_token") == first.text("access_token") || !ts.active(first.text("access_token")) {
					t.Errorf("%s: %d %s", refresh, second.status, second.raw)
				}
			}
		}
	})
}

// FAPI 2.0 Security Profile, section 5.3.2.1: a client that lost a response must be able to recover. Here it comes again
// long after the longest grace.
func TestFAPI2ClientsRecoverLate(t *testing.T) {
	ts := onFake(t)
	client := ts.withRefreshPolicy(policy.RefreshFAPI2).header()
	clock := &clock{}
	ts.start(func(c *authserver.Config) { c.Now = clock.now })
	token := ts.form("/oauth2/token", client, passwordGrant()...).text("refresh_token")
	for range 3 {
		clock.advance(policy.MaxGrace + time.Hour)
		if r := ts.form("/oauth2/token", client, refreshGrant(token)...); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
	}
}
