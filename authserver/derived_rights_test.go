package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/authserver/resource"
	"github.com/opgrant/opgrant/storage"
)

// putClients adds clients for the tests of token exchange.
func (ts *testServer) putClients(clients ...*storage.Client) {
	ts.t.Helper()
	for _, c := range clients {
		c.Grants = []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantTokenExchange}
		if !c.Public {
			hash, err := authserver.Secrets{}.Hash(ts.t.Context(), []byte(c.ID+"-secret"))
			check(ts.t, err)
			c.Secrets = []string{string(hash)}
		}
		check(ts.t, ts.store.PutClient(ts.t.Context(), c))
	}
}

func (ts *testServer) exchange(client, token, kind string, more ...string) reply {
	ts.t.Helper()
	form := []string{"grant_type", exchangeGrant, "subject_token", token, "subject_token_type", kind}
	return ts.post("/oauth2/token", client, append(form, more...)...)
}

// exchangeInProcess sends the request as the operations API does.
func (ts *testServer) exchangeInProcess(client, token string, more ...string) reply {
	ts.t.Helper()
	values := url.Values{"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {typeAccess}, "client_id": {client}}
	for i := 0; i+1 < len(more); i += 2 {
		values.Add(more[i], more[i+1])
	}
	r := httptest.NewRequestWithContext(ts.t.Context(), http.MethodPost, "/oauth2/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", formType)
	w := httptest.NewRecorder()
	ts.server.Token().ServeHTTP(w, r)
	return reply{status: w.Code, header: w.Header(), body: decode(w.Body.Bytes()), raw: w.Body.String()}
}

// Finding A1 (RFC 8693 sections 2.1 and 5): a client names whose tokens it takes.
func TestExchangeTakesTokensOfNamedClientsAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ts.putClients(
			&storage.Client{ID: "closed", Scopes: []string{"read"}},
			&storage.Client{ID: "opened", Scopes: []string{"read"}, ExchangeFrom: []string{"web"}},
			&storage.Client{ID: "legacy", Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic},
		)
		standard, legacy := ts.login("web", "scope", "read"), ts.login("old")
		for _, row := range []struct {
			name, client, token string
			status              int
			code                string
		}{
			{"standard to standard, named", "opened", standard.text("access_token"), 200, ""},
			{"standard to standard, not named", "closed", standard.text("access_token"), 400, "invalid_request"},
			{"standard to legacy", "legacy", standard.text("access_token"), 400, "invalid_request"},
			{"legacy to standard, not named", "opened", legacy.text("access_token"), 400, "invalid_request"},
			{"legacy to standard, named", "web", legacy.text("access_token"), 200, ""},
			{"legacy of another client to legacy", "legacy", legacy.text("access_token"), 400, "invalid_request"},
		} {
			ts.want(row.name, ts.exchange(row.client, row.token, typeAccess), row.status, row.code)
		}
	})
}

// Finding A1: whoever knows the ID of a public client is that client, so it makes nothing of a token, but for the operations
// API in the same process, and there nothing of a token of the standard profile.
func TestAPublicClientExchangesWithinTheProcessAlone(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		own, standard := ts.login("old").text("access_token"), ts.login("web", "scope", "read").text("access_token")
		ts.want("its own token", ts.exchange("old", own, typeAccess), 400, "unauthorized_client")
		ts.want("a token of the standard profile", ts.exchange("old", standard, typeAccess), 400, "unauthorized_client")
		ts.want("its own token, within the process", ts.exchangeInProcess("old", own), 200, "")
		ts.want("a token of the standard profile, within the process", ts.exchangeInProcess("old", standard), 400, "invalid_request")
	})
}

// Finding A1: scopes, audience, end and time of the login are at most those of the subject token.
func TestExchangeNeverWidens(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		api, other := "https://api.example.com", "https://other.example.com"
		ts.putClients(&storage.Client{
			ID: "wide", Scopes: []string{"read", "write", "admin"}, Default: []string{"read", "admin"}, ExchangeFrom: []string{"web"},
			Audience: []string{api, other}, AccessTTL: storage.Duration(1000 * time.Hour), RefreshTTL: storage.Duration(1000 * time.Hour),
		})
		login := ts.login("web", "scope", "read", "audience", api)
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // auth_time is in whole seconds
		for kind, token := range map[string]string{typeAccess: login.text("access_token"), typeRefresh: login.text("refresh_token")} {
			ts.want("a wider scope", ts.exchange("wide", token, kind, "scope", "read write"), 400, "invalid_scope")
			ts.want("another audience", ts.exchange("wide", token, kind, "audience", other), 400, "invalid_target")
			ts.want("another resource", ts.exchange("wide", token, kind, "resource", other), 400, "invalid_target")
			r := ts.exchange("wide", token, kind)
			if r.status != 200 || r.text("scope") != "read" {
				t.Fatalf("%d %s", r.status, r.raw)
			}
			subject, derived := ts.introspect(token, "web"), ts.introspect(r.text("access_token"), "wide")
			if derived["aud"] != api || derived["exp"].(float64) > subject["exp"].(float64) {
				t.Errorf("made %v of %v", derived, subject)
			}
			if from := ts.introspect(login.text("access_token"), "web"); derived["auth_time"] != from["auth_time"] {
				t.Errorf("auth_time %v, the login was at %v", derived["auth_time"], from["auth_time"])
			}
			refreshed := ts.refresh("wide", r.text("refresh_token"))
			again := ts.introspect(refreshed.text("access_token"), "wide")
			if again["exp"].(float64) > subject["exp"].(float64) || again["scope"] != "read" || again["aud"] != api {
				t.Errorf("a refresh made %v of %v", again, subject)
			}
			next := ts.introspect(refreshed.text("refresh_token"), "wide")
			if next["exp"].(float64) > subject["exp"].(float64) {
				t.Errorf("the refresh token ends at %v, the subject token at %v", next["exp"], subject["exp"])
			}
		}
	})
}

func (ts *testServer) introspect(token, client string) map[string]any {
	ts.t.Helper()
	r := ts.post("/oauth2/introspect", client, "token", token)
	if r.status != 200 || r.body["active"] != true {
		ts.t.Fatalf("introspection: %d %s", r.status, r.raw)
	}
	return r.body
}

// Finding A1: what was made from a token ends with it, over any number of exchanges.
func TestWhatWasMadeFromATokenEndsWithIt(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ts.putClients(
			&storage.Client{ID: "second", Scopes: []string{"read"}, ExchangeFrom: []string{"web"}},
			&storage.Client{ID: "third", Scopes: []string{"read"}, ExchangeFrom: []string{"second"}},
		)
		active, enabled := false, true
		for _, row := range []struct {
			name string
			kind string
			end  func(login reply)
		}{
			{"the access token is revoked", typeAccess, func(r reply) { ts.post("/oauth2/revoke", "web", "token", r.text("access_token")) }},
			{"the session of the access token is revoked", typeAccess, func(r reply) { ts.post("/oauth2/revoke", "web", "token", r.text("refresh_token")) }},
			{"the session of the refresh token is revoked", typeRefresh, func(r reply) { ts.post("/oauth2/revoke", "web", "token", r.text("refresh_token")) }},
			{"the user's sessions are ended", typeAccess, func(reply) { check(t, ts.store.RevokeSubject(t.Context(), "alice")) }},
			{"the first client's sessions are ended", typeRefresh, func(reply) {
				_, err := ts.store.RevokeClient(t.Context(), "web")
				check(t, err)
			}},
			{"the user is disabled", typeAccess, func(reply) {
				check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Active: &active}))
			}},
		} {
			login := ts.login("web", "scope", "read")
			token := login.text("access_token")
			if row.kind == typeRefresh {
				token = login.text("refresh_token")
			}
			second := ts.exchange("second", token, row.kind)
			third := ts.exchange("third", second.text("access_token"), typeAccess)
			for _, r := range []reply{second, third} {
				if !ts.active(r.text("access_token")) {
					t.Fatalf("%s: not active before: %s", row.name, r.raw)
				}
			}
			row.end(login)
			for client, r := range map[string]reply{"second": second, "third": third} {
				if ts.active(r.text("access_token")) {
					t.Errorf("%s: the access token of the %s client is still active", row.name, client)
				}
				ts.want(row.name+": refresh at the "+client, ts.refresh(client, r.text("refresh_token")), 400, "invalid_grant")
			}
			check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Active: &enabled}))
		}
	})
}

// A refresh token that is rotated is the same right: what was made from it goes on.
func TestWhatWasMadeFromARefreshTokenOutlivesItsRotation(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("web", "scope", "read")
		made := ts.exchange("web", login.text("refresh_token"), typeRefresh)
		ts.want("rotation", ts.refresh("web", login.text("refresh_token")), 200, "")
		if !ts.active(made.text("access_token")) {
			t.Error("it ended with a rotation")
		}
		ts.want("refresh", ts.refresh("web", made.text("refresh_token")), 200, "")
	})
}

func TestExchangesOfExchangedTokensAreBounded(t *testing.T) {
	ts := onFake(t)
	token := ts.login("web", "scope", "read").text("access_token")
	for i := range 10 {
		r := ts.exchange("web", token, typeAccess)
		if r.status != 200 {
			if ts.want("one too many", r, 400, "invalid_request"); i != 4 {
				t.Errorf("refused after %d exchanges", i)
			}
			return
		}
		token = r.text("access_token")
	}
	t.Error("there is no bound")
}

// Findings A1 and A12 (RFC 8693 section 2.2.2, RFC 8707 section 2).
func TestParametersOfExchange(t *testing.T) {
	ts := onFake(t)
	token := ts.login("old").text("access_token")
	for _, row := range []struct {
		name       string
		form       []string
		status     int
		code, kind string // kind is issued_token_type
	}{
		{"nothing more", nil, 200, "", typeAccess},
		{"an access token", []string{"requested_token_type", typeAccess}, 200, "", typeAccess},
		{"a JWT", []string{"requested_token_type", "urn:ietf:params:oauth:token-type:jwt"}, 200, "", "urn:ietf:params:oauth:token-type:jwt"},
		{"a refresh token", []string{"requested_token_type", typeRefresh}, 400, "invalid_request", ""},
		{"a SAML assertion", []string{"requested_token_type", "urn:ietf:params:oauth:token-type:saml2"}, 400, "invalid_request", ""},
		{"an actor", []string{"actor_token", token, "actor_token_type", typeAccess}, 400, "invalid_request", ""},
		{"the type of an actor alone", []string{"actor_token_type", typeAccess}, 400, "invalid_request", ""},
		{"a resource", []string{"resource", "https://api.example.com"}, 200, "", typeAccess},
		{"an unknown resource", []string{"resource", "https://unknown.example.com"}, 400, "invalid_target", ""},
		{"an unknown audience", []string{"audience", "unknown"}, 400, "invalid_target", ""},
		{"a known and an unknown audience", []string{"audience", "https://api.example.com", "audience", "unknown"}, 400, "invalid_target", ""},
		{"a resource that is not a URI", []string{"resource", "api"}, 400, "invalid_target", ""},
		{"a resource with a fragment", []string{"resource", "https://api.example.com#x"}, 400, "invalid_target", ""},
		{"an unknown scope", []string{"scope", "admin"}, 400, "invalid_scope", ""},
	} {
		r := ts.exchange("web", token, typeAccess, row.form...)
		ts.want(row.name, r, row.status, row.code)
		if row.kind != "" && r.text("issued_token_type") != row.kind {
			t.Errorf("%s: %s", row.name, r.raw)
		}
	}
}

// RFC 8707 section 2.2: a refresh may ask for fewer targets than the session was granted, and for no others.
func TestResourcesOfARefresh(t *testing.T) {
	ts := onFake(t)
	one, two := "https://one.example.com", "https://two.example.com"
	ts.putClients(
		&storage.Client{ID: "many", Audience: []string{one, two, "https://three.example.com"}},
		&storage.Client{ID: "taker", Audience: []string{one, two}, ExchangeFrom: []string{"many"}},
	)
	login := ts.login("many", "resource", one, "resource", two)
	if aud := ts.introspect(login.text("access_token"), "many")["aud"]; len(aud.([]any)) != 2 {
		t.Fatalf("aud %v", aud)
	}
	narrow := ts.refresh("many", login.text("refresh_token"), "resource", two)
	if aud := ts.introspect(narrow.text("access_token"), "many")["aud"]; aud != two {
		t.Errorf("aud %v", aud)
	}
	ts.want("another one", ts.refresh("many", narrow.text("refresh_token"), "resource", "https://three.example.com"), 400, "invalid_target")
	made := ts.exchange("taker", narrow.text("access_token"), typeAccess)
	if aud := ts.introspect(made.text("access_token"), "taker")["aud"]; aud != two {
		t.Errorf("made from a narrowed token: %v", aud)
	}
	all := ts.refresh("many", narrow.text("refresh_token"))
	if aud := ts.introspect(all.text("access_token"), "many")["aud"]; len(aud.([]any)) != 2 {
		t.Errorf("the session was narrowed: %v", aud)
	}
}

// Finding A4: introspection answers from the user's present record, not from the token.
func TestIntrospectionTellsThePresentRights(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.try("old", "root", "toor")
		role, super := "reader", "super_user"
		_, err := ts.store.Users.AddRole(t.Context(), storage.Role{ID: role, Permission: json.RawMessage(`{}`)})
		check(t, err)
		named := ts.post("/oauth2/token", "old", "grant_type", "password", "username", "root", "password", "toor", "role", "super_user")
		if named.status != 200 {
			t.Fatalf("%d %s", named.status, named.raw)
		}
		rights := func(r reply) any { return ts.introspect(r.text("access_token"), "rs")["super_user"] }
		if rights(login) != true || rights(named) != true {
			t.Fatal("not a super user before")
		}
		check(t, ts.store.Users.ChangeUser(t.Context(), "root", storage.UserChange{Role: &role}))
		if rights(login) != false {
			t.Error("the token of a demoted user has super_user")
		}
		if ts.active(named.text("access_token")) {
			t.Error("a token for a role is good after the user lost that role")
		}
		check(t, ts.store.Users.ChangeUser(t.Context(), "root", storage.UserChange{Role: &super}))
		if rights(login) != true || rights(named) != true {
			t.Error("the rights did not come back")
		}
	})
}

// Finding A4: the role that a login of the legacy profile asks for must be the user's own.
func TestTheRoleOfALoginIsTheUsers(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		with := func(user, password, role string) reply {
			return ts.post("/oauth2/token", "old", "grant_type", "password", "username", user, "password", password, "role", role)
		}
		ts.want("another role", with("alice", "wonder land", "super_user"), 400, "invalid_request")
		ts.want("a role that is not there", with("root", "toor", "unknown"), 400, "invalid_request")
		ts.want("the user's role", with("root", "toor", "super_user"), 200, "")
		ts.want("another role by a token", ts.exchangeInProcess("old", ts.login("old").text("access_token"), "role", "super_user"), 400, "invalid_request")
	})
}

// Finding A5 (RFC 7009 section 2): revocation has its effect whatever the state of the user.
func TestTokensOfADisabledUserAreRevoked(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		off, on := false, true
		for _, client := range []string{"web", "old"} {
			kept, alone, whole := ts.login(client), ts.login(client), ts.login(client)
			check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Active: &off}))
			for _, token := range []string{alone.text("access_token"), whole.text("refresh_token")} {
				if r := ts.post("/oauth2/revoke", client, "token", token); r.status != 200 {
					t.Fatalf("%d %s", r.status, r.raw)
				}
			}
			check(t, ts.store.Users.ChangeUser(t.Context(), "alice", storage.UserChange{Active: &on}))
			if ts.active(alone.text("access_token")) || ts.active(whole.text("access_token")) {
				t.Errorf("%s: a revoked access token is good again", client)
			}
			ts.want("the revoked refresh token", ts.refresh(client, whole.text("refresh_token")), 400, "invalid_grant")
			if !ts.active(kept.text("access_token")) {
				t.Errorf("%s: a token that was only suspended ended", client)
			}
		}
	})
}

// A refresh token that was used belongs to its session as well: whoever revokes it ends the session.
func TestRevokingAUsedRefreshTokenEndsTheSession(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		login := ts.login("strict")
		next := ts.refresh("strict", login.text("refresh_token"))
		ts.post("/oauth2/revoke", "other", "token", login.text("refresh_token"))
		if !ts.active(next.text("access_token")) {
			t.Error("another client ended it")
		}
		ts.post("/oauth2/revoke", "strict", "token", login.text("refresh_token"))
		if ts.active(next.text("access_token")) {
			t.Error("the session goes on")
		}
	})
}

// Finding A4: a resource server that asks sees the rights of this moment; one that verifies locally sees those of the login,
// until the token expires.
func TestGuardAndTheRightsOfThisMoment(t *testing.T) {
	ts := onFake(t)
	token := ts.try("old", "root", "toor").text("access_token")
	super := func(introspection *resource.Introspection) bool {
		t.Helper()
		guard, err := resource.New(resource.Config{Issuer: ts.url, LegacyScopes: []string{"x"}, Legacy: true, Introspection: introspection})
		check(t, err)
		claims, err := guard.Verify(t.Context(), token)
		check(t, err)
		return claims.SuperUser
	}
	asks := &resource.Introspection{ClientID: "rs", ClientSecret: "rs-secret", Cache: -1}
	if !super(asks) || !super(nil) {
		t.Fatal("not a super user before")
	}
	role := "reader"
	check(t, ts.store.Users.ChangeUser(t.Context(), "root", storage.UserChange{Role: &role}))
	if super(asks) {
		t.Error("a guard that asks grants a right that was taken away")
	}
	if !super(nil) {
		t.Error("the documentation says that a token verified locally keeps its rights")
	}
}

// Finding A1: a token that becomes one of the legacy profile, whose tokens usually say nothing of scope and audience, keeps
// its limits there: for introspection, for a resource server, and for what is made from it in turn.
func TestLimitsPassThroughTheLegacyProfile(t *testing.T) {
	ts := onFake(t)
	api := "https://api.example.com"
	ts.putClients(
		&storage.Client{ID: "legacy", Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic, ExchangeFrom: []string{"web"}, Audience: []string{api}},
		&storage.Client{ID: "wide", Scopes: []string{"read", "write"}, Audience: []string{api, "https://other.example.com"}, ExchangeFrom: []string{"legacy"}},
	)
	made := ts.exchange("legacy", ts.login("web", "scope", "read", "audience", api).text("access_token"), typeAccess)
	for name, token := range map[string]string{"the first": made.text("access_token"), "a refreshed one": ts.refresh("legacy", made.text("refresh_token")).text("access_token")} {
		if body := ts.introspect(token, "rs"); body["scope"] != "read" {
			t.Errorf("%s: %v", name, body)
		}
		for audience, want := range map[string]bool{api: true, "https://other.example.com": false} {
			guard, err := resource.New(resource.Config{Issuer: ts.url, Audience: audience, Legacy: true, LegacyScopes: []string{"read", "write"}})
			check(t, err)
			claims, err := guard.Verify(t.Context(), token)
			if (err == nil) != want || want && (!claims.HasScope("read") || claims.HasScope("write")) {
				t.Errorf("%s at %s: %+v %v", name, audience, claims, err)
			}
		}
		if r := ts.exchange("wide", token, typeAccess); r.text("scope") != "read" || ts.introspect(r.text("access_token"), "wide")["aud"] != api {
			t.Errorf("%s, exchanged again: %s", name, r.raw)
		}
		ts.want("a wider scope", ts.exchange("wide", token, typeAccess, "scope", "write"), 400, "invalid_scope")
	}
}
