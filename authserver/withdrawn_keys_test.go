package authserver_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// legacyClaims are the claims of a token of the legacy profile.
func legacyClaims(user, kind, session string) jwt.MapClaims {
	now := time.Now()
	claims := jwt.MapClaims{
		"username": user, "super_user": true, "sub": kind, "iat": now.Add(time.Second).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if session != "" {
		claims["sid"] = session
	}
	return claims
}

// signedBy signs claims with a key, with and without a kid in the header.
func signedBy(t *testing.T, kid string, key crypto.Signer, claims jwt.MapClaims) map[string]string {
	t.Helper()
	header := map[string]any{"alg": "RS256", "typ": "JWT"}
	without := forge(t, header, claims, jwt.SigningMethodRS256, key)
	header["kid"] = kid
	return map[string]string{"without kid": without, "with kid": forge(t, header, claims, jwt.SigningMethodRS256, key)}
}

// A token that names no session was issued by another server. Whoever has a key of this server could make one for any user.
func TestTokensWithoutASessionNeedAnImportedKey(t *testing.T) {
	ts := onFake(t)
	own, err := ts.keys.Signer(policy.RS256)
	check(t, err)
	verifying, signing := newRSA(t), newRSA(t)
	verifyingID, _, err := ts.keys.Import(t.Context(), verifying, nil, true, time.Time{})
	check(t, err)
	for _, kind := range []string{"operation", "refresh"} {
		for name, token := range signedBy(t, own.ID, own.Private, legacyClaims("root", kind, "")) {
			ts.wantRefused("own key, "+kind+", "+name, token)
		}
	}
	for name, token := range signedBy(t, verifyingID, verifying, legacyClaims("root", "operation", "")) {
		if !ts.active(token) {
			t.Errorf("imported key, %s: inactive", name)
		}
	}
	// A token with a session was issued here, so not with a key that only verifies.
	session := claimsOf(t, ts.login("old").text("access_token"))["sid"].(string)
	signingID, _, err := ts.keys.Import(t.Context(), signing, nil, false, time.Time{})
	check(t, err)
	for name, token := range signedBy(t, verifyingID, verifying, legacyClaims("alice", "operation", session)) {
		ts.wantRefused("verifying key, with a session, "+name, token)
	}
	for name, token := range signedBy(t, signingID, signing, legacyClaims("alice", "operation", session)) {
		if !ts.active(token) {
			t.Errorf("imported key that signs, with a session, %s: inactive", name)
		}
	}
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	return private
}

// After the last day of an imported key no token of the other server is accepted. What was signed here is, until it expires.
func TestImportedKeysEndOnTheirLastDay(t *testing.T) {
	ts := onFake(t)
	for name, verifyOnly := range map[string]bool{"verifies": true, "signs": false} {
		private := newRSA(t)
		until := time.Now().Add(400 * 24 * time.Hour)
		id, _, err := ts.keys.Import(t.Context(), private, nil, verifyOnly, until)
		check(t, err)
		tokens := signedBy(t, id, private, legacyClaims("alice", "operation", ""))
		for kid, token := range tokens {
			if !ts.active(token) {
				t.Errorf("%s, %s: inactive", name, kid)
			}
		}
		here := ts.login("old").text("access_token")
		_, _, err = ts.keys.Import(t.Context(), private, nil, verifyOnly, time.Now().Add(3*time.Second))
		check(t, err)
		time.Sleep(3 * time.Second)
		for kid, token := range tokens {
			ts.wantRefused("after the last day: "+name+", "+kid, token)
		}
		if !ts.active(here) {
			t.Errorf("%s: a token that was issued here is inactive", name)
		}
	}
}

// A revoked key verifies nothing, on both forms of both profiles. Sessions whose refresh token is opaque go on.
func TestTokensOfARevokedKeyAreRefused(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		web, old := ts.login("web"), ts.login("old")
		leaked, err := ts.keys.Signer(policy.RS256)
		check(t, err)
		forged := signedBy(t, leaked.ID, leaked.Private, legacyClaims("root", "operation", claimsOf(t, old.text("access_token"))["sid"].(string)))
		if !ts.active(forged["with kid"]) {
			t.Error("before: a forged token that names a live session is inactive")
		}
		signer, err := ts.keys.Revoke(t.Context(), leaked.ID)
		check(t, err)
		for name, token := range map[string]string{
			"standard access": web.text("access_token"), "legacy access": old.text("access_token"), "legacy refresh": old.text("refresh_token"),
			"forged with kid": forged["with kid"], "forged without": forged["without kid"],
		} {
			ts.wantRefused(name, token)
		}
		r := ts.refresh("web", web.text("refresh_token"))
		parsed, _, err := jwt.NewParser().ParseUnverified(r.text("access_token"), jwt.MapClaims{})
		if err != nil || parsed.Header["kid"] != signer || !ts.active(r.text("access_token")) {
			t.Errorf("an opaque refresh token: %d %s", r.status, r.raw)
		}
	})
}

// The client's policy says how long tokens are valid. A caller may ask for less, and gets a second at least.
func TestExpiresInIsBounded(t *testing.T) {
	ts := onFake(t)
	client, err := ts.store.Client(t.Context(), "old")
	check(t, err)
	client.RefreshTTL = storage.Duration(2 * time.Hour)
	check(t, ts.store.PutClient(t.Context(), client))
	for given, want := range map[string]int64{
		"60": 60, "1": 1, "0": 1, "-1": 1, "-99999999999999999999": 1, "7200": 7200, "7201": 7200, "31557600000": 7200,
		strconv.FormatInt(math.MaxInt64, 10): 7200, strconv.FormatInt(math.MinInt64, 10): 1, "99999999999999999999": 7200,
	} {
		r := ts.post("/oauth2/token", "old", "grant_type", "password", "username", "alice", "password", "wonder land", "expires_in", given)
		claims := claimsOf(t, r.text("access_token"))
		issued, _ := claims["iat"].(float64)
		expires, _ := claims["exp"].(float64)
		if r.status != 200 || int64(expires-issued) != want {
			t.Errorf("%s: %d, valid for %v s, want %d", given, r.status, expires-issued, want)
		}
	}
	r := ts.post("/oauth2/token", "old", "grant_type", "password", "username", "alice", "password", "wonder land", "expires_in", "1h")
	ts.want("not a number", r, 400, "invalid_request")
	// No caller has made a key last longer.
	list, err := ts.keys.List(t.Context())
	check(t, err)
	document, _, err := ts.store.Keys.LoadKeys(t.Context())
	check(t, err)
	for _, k := range list {
		if !k.Ends.IsZero() {
			t.Errorf("%+v", k)
		}
	}
	if string(document) != string(firstKeys()) {
		t.Error("a login has changed the keys")
	}
}
