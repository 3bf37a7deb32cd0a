package opgrant_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant"
)

// Each API has its own list of origins: what the operations API allows, with credentials, says nothing about the OAuth endpoints,
// where a client says it, and nothing there is ever allowed with credentials.
func TestOriginsOfBothAPIs(t *testing.T) {
	const operations, client, both, none = "https://operations.example", "https://client.example", "https://both.example", "https://none.example"
	s, site := start(t, func(c *opgrant.Config) {
		c.Issuer = "https://host.example/auth"
		c.Operations.Origins = []string{operations, both}
	})
	demo, err := s.Store.Client(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	changed := *demo
	changed.Origins = []string{client, both}
	if err := s.Store.PutClient(t.Context(), &changed); err != nil {
		t.Fatal(err)
	}

	const (
		login = "grant_type=password&username=HDB_ADMIN&password=password"
		info  = `{"operation":"user_info"}`
	)
	demoAuth := basicAuth("demo", "demo-secret")
	type headers = map[string]string
	operation := func(origin string) headers {
		return headers{"Allow-Origin": origin, "Allow-Credentials": "true"}
	}
	recorded := func(origin string) headers {
		h := operation(origin)
		h["Allow-Methods"], h["Allow-Headers"] = "POST, GET, PUT, DELETE, PATCH, OPTIONS", "Accept, Content-Type, Authorization"
		return h
	}
	oauth := func(origin string) headers {
		return headers{"Allow-Origin": origin, "Expose-Headers": "Retry-After, Www-Authenticate"}
	}
	preflight := func(origin string) headers {
		return headers{"Allow-Origin": origin, "Allow-Methods": "POST", "Allow-Headers": "authorization,content-type", "Max-Age": "60"}
	}
	for _, row := range []struct {
		method, path, body, authorization string
		want                              map[string]headers // :: origin → headers; of others none
		status                            func(listed bool) int
	}{
		{"POST", "/", info, admin, map[string]headers{operations: operation(operations), both: operation(both)}, always(200)},
		{"POST", "/", info, "", map[string]headers{operations: operation(operations), both: operation(both)}, always(401)},
		{"POST", "/", info, basicAuth("HDB_ADMIN", "x"), map[string]headers{operations: operation(operations), both: operation(both)}, always(401)},
		{"OPTIONS", "/", "", "", map[string]headers{operations: recorded(operations), both: recorded(both)}, either(200, 400)},
		{"POST", "/oauth2/token", login, demoAuth, map[string]headers{client: oauth(client), both: oauth(both)}, always(200)},
		{"POST", "/auth/oauth2/token", login, demoAuth, map[string]headers{client: oauth(client), both: oauth(both)}, always(200)},
		{"POST", "/oauth2/token", login, basicAuth("demo", "x"), map[string]headers{client: oauth(client), both: oauth(both)}, always(401)},
		{"POST", "/oauth2/token", login + "&client_id=operations", "", nil, always(200)},
		{"POST", "/oauth2/introspect", "token=x", demoAuth, map[string]headers{client: oauth(client), both: oauth(both)}, always(200)},
		{"POST", "/oauth2/revoke", "token=x", demoAuth, map[string]headers{client: oauth(client), both: oauth(both)}, always(200)},
		{"OPTIONS", "/oauth2/token", "", "", map[string]headers{client: preflight(client), both: preflight(both)}, either(204, 405)},
		{"OPTIONS", "/auth/oauth2/revoke", "", "", map[string]headers{client: preflight(client), both: preflight(both)}, either(204, 405)},
		{"GET", "/.well-known/jwks.json", "", "", nil, always(200)}, // for every origin
	} {
		for _, origin := range []string{operations, client, both, none, "null", ""} {
			r, err := http.NewRequestWithContext(t.Context(), row.method, site.URL+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if strings.Contains(row.path, "oauth2") {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			for name, value := range map[string]string{"Origin": origin, "Authorization": row.authorization} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if row.method == "OPTIONS" {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
			}
			response, err := site.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			got := headers{}
			for name, values := range response.Header {
				if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
					got[short] = strings.Join(values, ", ")
				}
			}
			want, listed := row.want[origin]
			if !listed {
				want = headers{}
			}
			what := row.method + " " + row.path + " from " + origin
			if row.method == http.MethodGet {
				want = headers{"Allow-Origin": "*"}
			} else if !strings.Contains(response.Header.Get("Vary"), "Origin") {
				t.Errorf("%s: Vary is %q", what, response.Header.Values("Vary"))
			}
			if diff := cmp.Diff(want, got); diff != "" || response.StatusCode != row.status(listed) {
				t.Errorf("%s: %d, want %d %s", what, response.StatusCode, row.status(listed), diff)
			}
		}
	}
}

func always(status int) func(bool) int { return func(bool) int { return status } }

// either is the status of a preflight.
func either(allowed, refused int) func(bool) int {
	return func(listed bool) int {
		if listed {
			return allowed
		}
		return refused
	}
}
