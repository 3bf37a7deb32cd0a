package authserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// The whole life of a session, driven by golang.org/x/oauth2, with the access token verified against the served JWKS.
func TestStandardClientOfAnotherMaking(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
			for _, id := range []string{"web", "es", "ed"} {
				config := oauth2.Config{
					ClientID: id, ClientSecret: id + "-secret",
					Endpoint: oauth2.Endpoint{TokenURL: w.url + "/oauth2/token", AuthStyle: style},
				}
				ctx := t.Context()
				first, err := config.PasswordCredentialsToken(ctx, "alice", "wonder land")
				check(t, err)
				if first.TokenType != "bearer" || first.RefreshToken == "" || time.Until(first.Expiry) < 59*time.Minute {
					t.Fatalf("token: %+v", first)
				}
				verifyByJWKS(t, w, first.AccessToken)

				expired := *first
				expired.Expiry = time.Now().Add(-time.Minute)
				second, err := config.TokenSource(ctx, &expired).Token()
				check(t, err)
				if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
					t.Fatal("a refresh gave the same tokens again")
				}
				verifyByJWKS(t, w, second.AccessToken)
				if !w.active(second.AccessToken) {
					t.Fatal("a fresh access token is not active")
				}
				r := w.post("/oauth2/revoke", id, "token", second.RefreshToken)
				if r.status != http.StatusOK || w.active(second.AccessToken) || w.active(first.AccessToken) {
					t.Fatalf("after revocation: %d, active %v %v", r.status, w.active(second.AccessToken), w.active(first.AccessToken))
				}
			}
		}
		machine := clientcredentials.Config{ClientID: "web", ClientSecret: "web-secret", TokenURL: w.url + "/oauth2/token", Scopes: []string{"read"}}
		token, err := machine.Token(t.Context())
		check(t, err)
		claims := verifyByJWKS(t, w, token.AccessToken)
		if claims["sub"] != "web" || claims["scope"] != "read" || token.RefreshToken != "" {
			t.Fatalf("client_credentials: %v", claims)
		}
	})
}

func verifyByJWKS(t *testing.T, w *world, token string) jwt.MapClaims {
	t.Helper()
	set, err := keyfunc.NewDefaultCtx(t.Context(), []string{w.url + "/.well-known/jwks.json"})
	check(t, err)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, set.Keyfunc, jwt.WithIssuer(w.url), jwt.WithAudience(w.url), jwt.WithExpirationRequired(),
		jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}), jwt.WithIssuedAt())
	check(t, err)
	if parsed.Header["typ"] != "at+jwt" {
		t.Fatalf("header %v", parsed.Header)
	}
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti", "iat", "exp", "sid"} {
		if claims[name] == nil {
			t.Errorf("claim %s is missing: %v", name, claims)
		}
	}
	return claims
}

func TestLegacyRefreshTokenNeverRotates(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		first := w.login("old")
		token := first.text("refresh_token")
		if strings.Count(token, ".") != 2 {
			t.Fatalf("the legacy refresh token is no JWT: %s", token)
		}
		seen := map[string]bool{first.text("access_token"): true}
		for range 5 {
			r := w.refresh("old", token)
			if r.status != http.StatusOK || r.body["refresh_token"] != nil {
				t.Fatalf("refresh: %d %s", r.status, r.raw)
			}
			if access := r.text("access_token"); seen[access] || !w.active(access) {
				t.Fatal("a refresh gave no new good access token")
			} else {
				seen[access] = true
			}
		}
		if !w.active(first.text("access_token")) {
			t.Error("an earlier access token ended with a refresh")
		}
	})
}

func TestOneSessionPerUserEndsTheOlderRefreshTokenAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		for _, client := range []string{"limited", "old-one"} {
			first, second := w.login(client), w.login(client)
			w.want("older refresh token at "+client, w.refresh(client, first.text("refresh_token")), 400, "invalid_grant")
			if !w.active(first.text("access_token")) {
				t.Errorf("%s: the older access token ended", client)
			}
			if r := w.refresh(client, second.text("refresh_token")); r.status != http.StatusOK {
				t.Errorf("%s: newest refresh token: %d %s", client, r.status, r.raw)
			}
		}
		if r := w.refresh("limited", w.login("limited").text("refresh_token")); r.status != 200 {
			t.Errorf("a login at one client disturbs another: %s", r.raw)
		}
	})
}

func TestParallelLoginsLeaveExactlyOneGoodRefreshToken(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		tokens := make([]string, 40)
		var group sync.WaitGroup
		for i := range tokens {
			group.Go(func() { tokens[i] = w.login("old-one").text("refresh_token") })
		}
		group.Wait()
		good := 0
		for _, token := range tokens {
			if w.refresh("old-one", token).status == http.StatusOK {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%d refresh tokens are good, want 1", good)
		}
	})
}

func TestLostAnswerIsGivenAgain(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		token := w.login("web").text("refresh_token")
		first := w.refresh("web", token)
		again := w.refresh("web", token)
		if again.status != 200 || again.text("access_token") != first.text("access_token") || again.text("refresh_token") != first.text("refresh_token") {
			t.Fatalf("not the same pair: %s\n%s", first.raw, again.raw)
		}
		// A second tab that is two generations behind still reaches the newest pair.
		third := w.refresh("web", first.text("refresh_token"))
		if r := w.refresh("web", token); r.text("refresh_token") != first.text("refresh_token") {
			t.Errorf("first token: %d %s", r.status, r.raw)
		}
		if r := w.refresh("web", first.text("refresh_token")); r.text("refresh_token") != third.text("refresh_token") {
			t.Errorf("second token: %d %s", r.status, r.raw)
		}
	})
}

func TestReuseEndsTheSessionAndNothingElseDoes(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		login := w.login("strict")
		used := login.text("refresh_token")
		next := w.refresh("strict", used).text("refresh_token")

		w.want("another client with the used token", w.refresh("other", used), 400, "invalid_grant")
		w.want("another client with the good token", w.refresh("other", next), 400, "invalid_grant")
		w.want("altered token", w.refresh("strict", used[:len(used)-1]+"!"), 400, "invalid_grant")
		w.want("unknown token of the session", w.refresh("strict", used[:45]+strings.Repeat("A", 43)), 400, "invalid_grant")
		r := w.refresh("strict", next)
		if r.status != http.StatusOK {
			t.Fatalf("the session ended by what must not end it: %s", r.raw)
		}

		w.want("used token", w.refresh("strict", used), 400, "invalid_grant")
		w.want("newest token after reuse", w.refresh("strict", r.text("refresh_token")), 400, "invalid_grant")
		if w.active(login.text("access_token")) || w.active(r.text("access_token")) {
			t.Error("an access token outlived the session")
		}
	})
}

func TestParallelRefreshesGetOnePair(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			client string
			good   int
		}{{"web", 30}, {"strict", 1}} {
			token := w.login(c.client).text("refresh_token")
			replies := make([]reply, 30)
			var group sync.WaitGroup
			for i := range replies {
				group.Go(func() { replies[i] = w.refresh(c.client, token) })
			}
			group.Wait()
			pairs, good := map[string]bool{}, 0
			for _, r := range replies {
				if r.status == http.StatusOK {
					good++
					pairs[r.text("refresh_token")+r.text("access_token")] = true
				}
			}
			if good != c.good || len(pairs) != 1 {
				t.Errorf("%s: %d answered with %d pairs, want %d with 1", c.client, good, len(pairs), c.good)
			}
		}
	})
}

func TestScopesOnRefresh(t *testing.T) {
	w := onFake(t)
	token := w.login("web", "scope", "read write").text("refresh_token")
	w.want("wider", w.refresh("web", token, "scope", "read write admin"), 400, "invalid_scope")
	w.want("other case", w.refresh("web", token, "scope", "READ"), 400, "invalid_scope")
	narrow := w.refresh("web", token, "scope", "read")
	if narrow.text("scope") != "read" || verifyByJWKS(t, w, narrow.text("access_token"))["scope"] != "read" {
		t.Errorf("narrower: %s", narrow.raw)
	}
	if r := w.post("/oauth2/introspect", "rs", "token", narrow.text("access_token")); r.text("scope") != "read" {
		t.Errorf("introspection of the narrower token: %s", r.raw)
	}
	if r := w.refresh("web", narrow.text("refresh_token")); r.text("scope") != "read write" {
		t.Errorf("the refresh token lost what the login was granted: %s", r.raw)
	}
}

func TestAnotherReplicaServesTheSameSessionsAndKeys(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		login := w.login("web")
		jwks := func() string {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/.well-known/jwks.json", nil)
			check(t, err)
			return w.do(req).raw
		}
		before := jwks()
		w.store, w.keys = newStore(t, w.rdb) // nothing of the first one's memory
		w.start(nil)
		if jwks() != before {
			t.Error("another JWKS")
		}
		if r := w.refresh("web", login.text("refresh_token")); r.status != http.StatusOK {
			t.Errorf("refresh at the other replica: %s", r.raw)
		}
		if r := w.post("/oauth2/revoke", "web", "token", login.text("refresh_token")); r.status != 200 {
			t.Errorf("revocation at the other replica: %s", r.raw)
		}
	})
}

func TestTokenExchangeLeadsFromTheLegacyDoorToTheStandardOne(t *testing.T) {
	onRedis(t, func(t *testing.T, w *world) {
		old := w.login("old")
		for kind, token := range map[string]string{typeAccess: old.text("access_token"), typeRefresh: old.text("refresh_token")} {
			r := w.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", kind, "scope", "read")
			if r.status != 200 || r.text("issued_token_type") != typeAccess || r.text("refresh_token") == "" {
				t.Fatalf("%s: %d %s", kind, r.status, r.raw)
			}
			if claims := verifyByJWKS(t, w, r.text("access_token")); claims["sub"] != "alice" || claims["scope"] != "read" {
				t.Errorf("claims %v", claims)
			}
			if again := w.refresh("web", r.text("refresh_token")); again.status != 200 {
				t.Errorf("refresh after the exchange: %s", again.raw)
			}
		}
		w.want("wrong kind", w.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", old.text("access_token"), "subject_token_type", typeRefresh), 400, "invalid_request")
		w.want("machine token", w.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token",
			w.post("/oauth2/token", "web", "grant_type", "client_credentials").text("access_token"), "subject_token_type", typeAccess), 400, "invalid_request")
		w.want("client without the grant", w.post("/oauth2/token", "app", "grant_type", exchangeGrant, "subject_token", old.text("access_token"), "subject_token_type", typeAccess), 400, "unauthorized_client")
		sessions, err := w.store.SessionsOf(context.Background(), "alice")
		check(t, err)
		if len(sessions) != 3 {
			t.Errorf("%d sessions, want the old one and two new ones", len(sessions))
		}
	})
}
