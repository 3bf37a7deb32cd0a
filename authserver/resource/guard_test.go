package resource_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/resource"
)

// both runs a test with tokens verified locally, and with introspection.
func both(t *testing.T, i *issuer, test func(t *testing.T, guard func(func(*resource.Config)) *resource.Guard)) {
	t.Run("verified locally", func(t *testing.T) {
		test(t, func(change func(*resource.Config)) *resource.Guard { return newGuard(t, i, change) })
	})
	t.Run("introspected", func(t *testing.T) {
		test(t, func(change func(*resource.Config)) *resource.Guard {
			return newGuard(t, i, func(c *resource.Config) {
				c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "rs-secret"}
				if change != nil {
					change(c)
				}
			})
		})
	})
}

// RFC 6750 section 3, header by header.
func TestAnswers(t *testing.T) {
	i := newIssuer(t, keys.Config{}, false)
	web, old := i.login("web", "scope", "read"), i.login("old")
	const realm = `Bearer realm="things"`
	both(t, i, func(t *testing.T, make func(func(*resource.Config)) *resource.Guard) {
		guard := make(func(c *resource.Config) { c.Realm = "things" })
		for _, row := range []struct {
			name      string
			headers   []string
			scopes    []string
			status    int
			challenge string
			body      string
		}{
			{"good", []string{"Bearer " + web.Access}, nil, 200, "", ""},
			{"good, scheme in another case", []string{"bEARER " + web.Access}, []string{"read"}, 200, "", ""},
			{"no token", nil, nil, 401, realm, ""},
			{"another scheme", []string{"Basic YTpi"}, nil, 401, realm, ""},
			{"empty header", []string{""}, nil, 401, realm, ""},
			{"no token behind the scheme", []string{"Bearer"}, nil, 400, realm + `, error="invalid_request", error_description="There must be one Authorization header with one token."`, `{"error":"invalid_request","error_description":"There must be one Authorization header with one token."}`},
			{"two tokens", []string{"Bearer a b"}, nil, 400, realm + `, error="invalid_request", error_description="There must be one Authorization header with one token."`, `{"error":"invalid_request","error_description":"There must be one Authorization header with one token."}`},
			{"two headers", []string{"Bearer " + web.Access, "Bearer " + web.Access}, nil, 400, realm + `, error="invalid_request", error_description="There must be one Authorization header with one token."`, `{"error":"invalid_request","error_description":"There must be one Authorization header with one token."}`},
			{"nonsense", []string{"Bearer x"}, nil, 401, realm + `, error="invalid_token", error_description="The access token is not valid."`, `{"error":"invalid_token","error_description":"The access token is not valid."}`},
			{"refresh token", []string{"Bearer " + web.Refresh}, nil, 401, realm + `, error="invalid_token", error_description="The access token is not valid."`, `{"error":"invalid_token","error_description":"The access token is not valid."}`},
			{"legacy token where it is not allowed", []string{"Bearer " + old.Access}, nil, 401, realm + `, error="invalid_token", error_description="The access token is not valid."`, `{"error":"invalid_token","error_description":"The access token is not valid."}`},
			{"without the scope", []string{"Bearer " + web.Access}, []string{"read", "write"}, 403, realm + `, error="insufficient_scope", error_description="The access token does not have the scope.", scope="read write"`, `{"error":"insufficient_scope","error_description":"The access token does not have the scope."}`},
		} {
			w := ask(guard, row.scopes, row.headers...)
			if w.Code != row.status || w.Header().Get("WWW-Authenticate") != row.challenge {
				t.Errorf("%s: %d %q", row.name, w.Code, w.Header().Get("WWW-Authenticate"))
			}
			if row.status == 200 {
				continue
			}
			if body := strings.TrimSpace(w.Body.String()); body != row.body || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %s %v", row.name, body, w.Header())
			}
		}
	})
}

func TestClaims(t *testing.T) {
	i := newIssuer(t, keys.Config{}, false)
	both(t, i, func(t *testing.T, make func(func(*resource.Config)) *resource.Guard) {
		guard := make(func(c *resource.Config) { c.Legacy, c.LegacyScopes = true, []string{"read"} })
		claims := func(token string) resource.Claims {
			t.Helper()
			w := ask(guard, []string{}, "Bearer "+token)
			var c resource.Claims
			if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &c) != nil {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if ttl := c.Expires.Sub(c.Issued); ttl < time.Minute || c.Session == "" || c.ID == "" {
				t.Errorf("%+v", c)
			}
			c.Issued, c.Expires, c.Session, c.ID, c.All = time.Time{}, time.Time{}, "", "", nil
			return c
		}
		for _, client := range []string{"web", "es", "ed"} {
			want := resource.Claims{Subject: "alice", Client: client, Scopes: []string{"read", "write"}}
			if client != "web" {
				want.Scopes = []string{}
			}
			if diff := cmp.Diff(want, claims(i.login(client).Access)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", client, diff)
			}
		}
		legacy := claims(i.login("old").Access)
		legacy.Client = "" // known by introspection only
		if diff := cmp.Diff(resource.Claims{Subject: "alice", Legacy: true, Scopes: []string{"read"}}, legacy); diff != "" {
			t.Errorf("legacy (-want +got):\n%s", diff)
		}
		if w := ask(guard, []string{"read"}, "Bearer "+i.login("old").Access); w.Code != 200 {
			t.Errorf("legacy with a scope that it is given: %d", w.Code)
		}
		if w := ask(guard, []string{"write"}, "Bearer "+i.login("old").Access); w.Code != 403 {
			t.Errorf("legacy with a scope that it is not given: %d", w.Code)
		}
		if w := ask(guard, nil, "Bearer "+i.login("old").Refresh); w.Code != 401 {
			t.Errorf("legacy refresh token: %d", w.Code)
		}
	})
}

func TestTokensForOthers(t *testing.T) {
	i, stranger := newIssuer(t, keys.Config{}, false), newIssuer(t, keys.Config{}, true)
	both(t, i, func(t *testing.T, make func(func(*resource.Config)) *resource.Guard) {
		guard, api := make(nil), make(func(c *resource.Config) { c.Audience = "https://api.example.com" })
		ours, theirs := i.login("web"), i.login("web", "audience", "https://api.example.com")
		for _, row := range []struct {
			name  string
			guard *resource.Guard
			token string
			want  int
		}{
			{"for us", guard, ours.Access, 200},
			{"for them", api, theirs.Access, 200},
			{"theirs here", guard, theirs.Access, 401},
			{"ours there", api, ours.Access, 401},
			{"of another issuer", guard, stranger.login("web").Access, 401},
		} {
			if w := ask(row.guard, nil, "Bearer "+row.token); w.Code != row.want {
				t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
			}
		}
	})
}

func TestExpiredTokens(t *testing.T) {
	i := newIssuer(t, keys.Config{}, false)
	token := i.login("web").Access
	later := func(c *resource.Config) { c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } }
	w := ask(newGuard(t, i, later), nil, "Bearer "+token)
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), `"The access token expired."`) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	early := func(c *resource.Config) { c.Now = func() time.Time { return time.Now().Add(-2 * time.Hour) } }
	if w := ask(newGuard(t, i, early), nil, "Bearer "+token); w.Code != http.StatusUnauthorized {
		t.Errorf("issued in the future: %d", w.Code)
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := resource.New(resource.Config{
		Issuer: "id.example.com", Realm: `"`, LegacyScopes: []string{"x"}, KeysFresh: -1, Introspection: &resource.Introspection{},
	})
	for _, want := range []string{"issuer", "realm", "legacy", "introspection", "key set"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of %s", err, want)
		}
	}
}
