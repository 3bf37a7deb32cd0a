package authserver_test

import (
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
)

// Every grant in the table of package policy has a handler, which refuses made-up parameters.
func TestEveryGrantHasAHandler(t *testing.T) {
	ts := onFake(t)
	refused := map[string]string{ // :: grant type → error code
		policy.GrantPassword:      "invalid_grant",
		policy.GrantRefreshToken:  "invalid_grant",
		policy.GrantJWTBearer:     "invalid_grant",
		policy.GrantTokenExchange: "invalid_request",
	}
	for _, g := range policy.Grants() {
		form := []string{"grant_type", g.Type}
		for _, name := range g.Required {
			form = append(form, name, "made-up")
		}
		r := ts.post("/oauth2/token", "web", form...)
		if code, want := r.text("error"), refused[g.Type]; code != want || code == "" && r.status != 200 || code != "" && r.status != 400 {
			t.Errorf("%s: %d %s, want %q", g.Type, r.status, r.raw, want)
		}
	}
}

// A server without users offers every grant that needs none, and refuses the others.
func TestGrantsWithoutUsers(t *testing.T) {
	ts := onFake(t)
	ts.start(func(c *authserver.Config) { c.Users = nil })
	ts.want("password", ts.try("web", "alice", "wonder land"), 400, "unsupported_grant_type")
	if r := ts.post("/oauth2/token", "web", "grant_type", policy.GrantClientCredentials); r.status != 200 {
		t.Errorf("client_credentials: %d %s", r.status, r.raw)
	}
}
