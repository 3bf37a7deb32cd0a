package authserver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// importKey gives the server a key of another server, and returns what signs tokens as that server does: without a kid and
// without a session.
func importKey(t *testing.T, ts *testServer) func(user, kind string, issued time.Time) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	_, _, err = ts.keys.Import(t.Context(), private, nil, true, time.Time{})
	check(t, err)
	return func(user, kind string, issued time.Time) string {
		signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"username": user, "super_user": false, "sub": kind, "iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix(),
		}).SignedString(private)
		check(t, err)
		return signed
	}
}

func TestImportedTokens(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		t.Parallel()
		ts := newTestServer(t, r.Client(t))
		sign := importKey(t, ts)
		issued := time.Now().Add(time.Second) // times in tokens are whole seconds, and tokens older than the account are refused
		access, refresh := sign("alice", "operation", issued), sign("alice", "refresh", issued)

		if !ts.active(access) {
			t.Error("an imported access token is not active")
		}
		ts.want("at a client of the standard profile", ts.refresh("app", refresh), 400, "invalid_grant")
		ts.want("of an unknown user", ts.refresh("old", sign("nobody", "refresh", issued)), 400, "invalid_grant")
		ts.want("an access token as a refresh token", ts.refresh("old", access), 400, "invalid_grant")
		ts.want("an expired one", ts.refresh("old", sign("alice", "refresh", issued.Add(-2*time.Hour))), 400, "invalid_grant")
		for range 2 {
			if r := ts.refresh("old", refresh); r.status != 200 || r.body["refresh_token"] != nil || !ts.active(r.text("access_token")) {
				t.Fatalf("%d %s", r.status, r.raw)
			}
		}
		sessions, err := ts.store.SessionsOf(t.Context(), "alice")
		check(t, err)
		if len(sessions) != 1 || sessions[0].Client != "old" {
			t.Errorf("sessions %+v, want one of the client old", sessions)
		}
		if r := ts.post("/oauth2/revoke", "old", "token", refresh); r.status != 200 {
			t.Errorf("%d %s", r.status, r.raw)
		}
		ts.want("after its session was revoked", ts.refresh("old", refresh), 400, "invalid_grant")
	})
}
