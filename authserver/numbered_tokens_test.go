package authserver_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// rotating adds a client of the legacy profile whose refresh tokens rotate, and are good once.
func (ts *testServer) rotating() string {
	ts.t.Helper()
	return ts.addClient(storage.Client{
		ID: "rotating", Grants: []string{"password", "refresh_token"}, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStrict,
	}).header()
}

// numberOf returns the number of a refresh token, 0 if it has none.
func (ts *testServer) numberOf(token string) uint32 {
	ts.t.Helper()
	if strings.Count(token, ".") == 2 {
		n, _ := claimsOf(ts.t, token)["n"].(float64)
		return uint32(n)
	}
	_, _, number, err := ts.store.ParseRefreshToken(ts.t.Context(), token)
	check(ts.t, err)
	return number
}

// Each refresh token has the next number of its session. One that stays good has none in a JWT, whose claims old servers read.
func TestRefreshTokensAreNumbered(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		legacy := ts.rotating()
		for name, row := range map[string]struct {
			login   func() reply
			refresh func(token string) reply
		}{
			"opaque": {func() reply { return ts.login("strict") }, func(token string) reply { return ts.refresh("strict", token) }},
			"JWT": {
				func() reply { return ts.form("/oauth2/token", legacy, passwordGrant()...) },
				func(token string) reply { return ts.form("/oauth2/token", legacy, refreshGrant(token)...) },
			},
		} {
			r := row.login()
			for number := uint32(1); number < 5; number++ {
				token := r.text("refresh_token")
				if got := ts.numberOf(token); r.status != http.StatusOK || got != number {
					t.Fatalf("%s: %d %s: number %d, want %d", name, r.status, r.raw, got, number)
				}
				r = row.refresh(token)
			}
		}
		static := ts.login("old").text("refresh_token")
		if _, present := claimsOf(t, static)["n"]; present {
			t.Error("a refresh token that does not rotate has a number")
		}
		if _, present := claimsOf(t, ts.form("/oauth2/token", legacy, passwordGrant()...).text("access_token"))["n"]; present {
			t.Error("an access token has a number")
		}
		exchanged := ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", static, "subject_token_type", typeRefresh)
		if ts.numberOf(exchanged.text("refresh_token")) != 1 {
			t.Errorf("the first token of a session that was made from another: %s", exchanged.raw)
		}
	})
}

// A session that an older version has opened goes on: its token has no number, and its next one the first.
func TestRefreshTokensOfOlderVersionsGoOn(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		id, signature, _, err := ts.store.ParseRefreshToken(t.Context(), ts.login("strict").text("refresh_token"))
		check(t, err)
		req, err := ts.store.GetRefreshTokenSession(t.Context(), signature, &authserver.Session{})
		check(t, err)
		old := id + "." + strings.Repeat("old", 14) + "A"
		check(t, ts.store.CreateRefreshTokenSession(t.Context(), storage.Signature(id, old), "", req))

		first := ts.refresh("strict", old)
		second := ts.refresh("strict", first.text("refresh_token"))
		if a, b := ts.numberOf(first.text("refresh_token")), ts.numberOf(second.text("refresh_token")); a != 1 || b != 2 {
			t.Fatalf("numbers %d and %d: %s %s", a, b, first.raw, second.raw)
		}
		ts.want("the first numbered one again", ts.refresh("strict", first.text("refresh_token")), 400, "invalid_grant")
		ts.want("its session", ts.refresh("strict", second.text("refresh_token")), 400, "invalid_grant")
	})
}

// Whoever knows the ID of a session, which is in each access token, cannot make up a token that looks used and so end the session.
func TestForgedNumbersEndNothing(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		token := ts.login("strict").text("refresh_token")
		for range 3 {
			token = ts.refresh("strict", token).text("refresh_token")
		}
		id, secret, _ := strings.Cut(token, ".")
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		check(t, err)
		encode := func(change func(raw []byte)) string {
			other := append([]byte(nil), raw...)
			change(other)
			return id + "." + base64.RawURLEncoding.EncodeToString(other)
		}
		_, others, _ := strings.Cut(ts.login("strict").text("refresh_token"), ".")
		for name, forged := range map[string]string{
			"a lower number":            encode(func(raw []byte) { raw[23]-- }),
			"a higher number":           encode(func(raw []byte) { raw[23]++ }),
			"a lower number and no MAC": encode(func(raw []byte) { raw[23] = 1; clear(raw[24:]) }),
			"other random bits":         encode(func(raw []byte) { raw[23] = 1; raw[0] ^= 1 }),
			"another MAC":               encode(func(raw []byte) { raw[23] = 1; raw[31] ^= 1 }),
			"a token of another login":  id + "." + others,
			"a longer one":              id + "." + strings.Repeat("A", 56),
			"zeros":                     id + "." + strings.Repeat("A", 43),
		} {
			ts.want(name, ts.refresh("strict", forged), 400, "invalid_grant")
			if r := ts.post("/oauth2/introspect", "strict", "token", forged); r.raw != `{"active":false}` {
				t.Errorf("%s: %s", name, r.raw)
			}
			if r := ts.post("/oauth2/revoke", "strict", "token", forged); r.status != http.StatusOK {
				t.Errorf("%s: revocation: %d %s", name, r.status, r.raw)
			}
		}
		if r := ts.refresh("strict", token); r.status != http.StatusOK {
			t.Errorf("the session has ended: %d %s", r.status, r.raw)
		}
	})
}

// The claim n of a JWT counts only as the server writes it.
func TestNumbersInJWTsAreWholeAndPositive(t *testing.T) {
	ts := onFake(t)
	client := ts.rotating()
	token := ts.form("/oauth2/token", client, passwordGrant()...).text("refresh_token")
	token = ts.form("/oauth2/token", client, refreshGrant(token)...).text("refresh_token")
	key, err := ts.keys.Signer(policy.RS256)
	check(t, err)
	header := map[string]any{"alg": policy.RS256, "kid": key.ID, "typ": "JWT"}
	for _, n := range []any{0, -1, 1.5, math.MaxUint32 + 1, 1e300, "1", nil, true, []int{1}, map[string]any{}} {
		claims := claimsOf(t, token)
		claims["n"] = n
		forged := forge(t, header, claims, jwt.SigningMethodRS256, key.Private)
		ts.want("n", ts.form("/oauth2/token", client, refreshGrant(forged)...), 400, "invalid_grant")
	}
	parts := strings.Split(token, ".")
	claims := claimsOf(t, token)
	claims["n"] = 1
	ts.want("another number under the same signature",
		ts.form("/oauth2/token", client, refreshGrant(parts[0]+"."+segment(t, claims)+"."+parts[2])...), 400, "invalid_grant")
	if r := ts.form("/oauth2/token", client, refreshGrant(token)...); r.status != http.StatusOK {
		t.Errorf("the session has ended: %d %s", r.status, r.raw)
	}
}

// A token of another server has the claims that it has: an n among them is not ours.
func TestNumbersOfImportedTokensAreIgnored(t *testing.T) {
	ts := onFake(t)
	private := newRSA(t)
	kid, _, err := ts.keys.Import(t.Context(), private, nil, true, time.Time{})
	check(t, err)
	for _, n := range []any{7, "seven"} {
		claims := legacyClaims("alice", "refresh", "")
		claims["n"], claims["iat"] = n, time.Now().Add(time.Second).Unix()
		for name, token := range signedBy(t, kid, private, claims) {
			if r := ts.refresh("old", token); r.status != http.StatusOK {
				t.Errorf("n %v, %s: %d %s", n, name, r.status, r.raw)
			}
		}
	}
}

// withoutNames is a store that cannot tell yet whether a number is genuine, because Redis has not answered since the start.
type withoutNames struct{ *storage.Store }

func (withoutNames) ParseRefreshToken(context.Context, string) (session, signature string, number uint32, err error) {
	return "", "", 0, fosite.ErrTemporarilyUnavailable
}

func (withoutNames) NewRefreshToken(context.Context, string, uint32) (token, signature string, err error) {
	return "", "", fosite.ErrTemporarilyUnavailable
}

// A number that cannot be checked is an outage, not a refusal.
func TestNumbersThatCannotBeCheckedAre503(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web").text("refresh_token")
	ts.start(func(c *authserver.Config) { c.Storage = withoutNames{ts.store} })
	for name, r := range map[string]reply{
		"refresh":       ts.refresh("web", token),
		"introspection": ts.post("/oauth2/introspect", "web", "token", token),
		"revocation":    ts.post("/oauth2/revoke", "web", "token", token),
		"exchange":      ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", typeRefresh),
		"login":         ts.try("web", "alice", "wonder land"),
	} {
		wantUnavailable(t, name, r, 0)
	}
	ts.start(nil)
	if r := ts.refresh("web", token); r.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", r.status, r.raw)
	}
}

// What is stored of a session is short, and tells which keys it depends on, also after a refresh without a new refresh token.
func TestStoredSessionsAreCompactAndKnowTheirKeys(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		key, err := ts.keys.Signer(policy.RS256)
		check(t, err)
		rotating := ts.rotating()
		for name, row := range map[string]struct {
			login   reply
			refresh func(token string) reply
			size    int
			depends bool
		}{
			"OAuth":          {ts.login("web"), func(token string) reply { return ts.refresh("web", token) }, 13, false},
			"operations API": {ts.login("old"), func(token string) reply { return ts.refresh("old", token) }, 21, true},
			"rotating JWT": {
				ts.form("/oauth2/token", rotating, passwordGrant()...),
				func(token string) reply { return ts.form("/oauth2/token", rotating, refreshGrant(token)...) }, 21, true,
			},
		} {
			look := func(when string) {
				t.Helper()
				id, _ := claimsOf(t, row.login.text("access_token"))["sid"].(string)
				info, err := ts.store.Session(t.Context(), id)
				check(t, err)
				depends, err := authserver.DependsOnKey(info.Data, key.ID)
				if err != nil || depends != row.depends {
					t.Errorf("%s, %s: depends on its key: %v, %v", name, when, depends, err)
				}
				if len(info.Data) > row.size {
					t.Errorf("%s, %s: %d bytes: %x", name, when, len(info.Data), info.Data)
				}
				session, err := authserver.DecodeSession(info.Data)
				if err != nil || session.LoggedIn == 0 || session.Subject != "" || info.Subject != "alice" {
					t.Errorf("%s, %s: %+v of %q, %v", name, when, session, info.Subject, err)
				}
			}
			look("just logged in")
			token := row.login.text("refresh_token")
			for range 2 {
				r := row.refresh(token)
				if r.status != http.StatusOK {
					t.Fatalf("%s: %d %s", name, r.status, r.raw)
				}
				if next := r.text("refresh_token"); next != "" {
					token = next
				}
			}
			look("refreshed")
		}
	})
}

// Sessions that an older version has stored as JSON are read, whatever they have.
func TestSessionsOfOlderVersionsGoOn(t *testing.T) {
	ts := onFake(t)
	login := ts.login("web", "scope", "read")
	_, signature, _, err := ts.store.ParseRefreshToken(t.Context(), login.text("refresh_token"))
	check(t, err)
	var session authserver.Session
	req, err := ts.store.GetRefreshTokenSession(t.Context(), signature, &session)
	check(t, err)
	asJSON, err := json.Marshal(&session)
	check(t, err)
	old, ok := req.(*fosite.Request)
	if !ok {
		t.Fatalf("%T", req)
	}
	old.Session = &oldSession{session: asJSON, Session: &session}
	check(t, ts.store.CreateRefreshTokenSession(t.Context(), signature, "", old))
	r := ts.refresh("web", login.text("refresh_token"))
	if r.status != http.StatusOK || !ts.active(r.text("access_token")) {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	if claims := claimsOf(t, r.text("access_token")); claims["sub"] != "alice" || claims["auth_time"] != claimsOf(t, login.text("access_token"))["auth_time"] {
		t.Errorf("claims: %v", claims)
	}
}

// oldSession is a session that is stored as an older version did.
type oldSession struct {
	fosite.Session
	session []byte
}

func (s *oldSession) MarshalJSON() ([]byte, error) { return s.session, nil }
